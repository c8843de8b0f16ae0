//! The containers of the `DaemonSet`, as the manifests describe them, run by containerd on a node
//! without a kubelet.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use mesh_cni_tests::{
    Containerd, Finished, ask_agent, crictl, finish, static_programs, wait_for_change,
};
use serde_json::{Value, json};

use crate::node::Node;

/// How long a test waits for one step.
const MOST: Duration = Duration::from_secs(60);

/// The manifests that install mesh-cni, and those that uninstall it.
pub(crate) const INSTALL: &str = include_str!("../../deploy/manifests/mesh-cni.yaml");
pub(crate) const UNINSTALL: &str = include_str!("../../deploy/manifests/mesh-cni-uninstall.yaml");

/// The directory that replaces a mounted `ConfigMap`.
const ENTRY: &str = "/etc/mesh-cni-entry";

/// Builds an image with the programs of this build and imports it on the node.
pub(crate) fn import_image(node: &Node) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("mesh-cni.tar");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/image");
    let mut image = Command::new(script);
    let made = finish(image.arg(&archive).arg(static_programs()), "");
    assert_eq!(made.code, 0, "{}", made.stderr);
    Containerd::import(&node.isolated_host, &archive);
}

/// A running container of the `DaemonSet`.
pub(crate) struct AgentPod<'node> {
    node: &'node Node,
    sandbox: String,
    container: String,
}

impl<'node> AgentPod<'node> {
    /// Starts the first container of that list in the manifests, without these capabilities. The plugin
    /// that it installs uses pod source `runtime`.
    pub(crate) fn start(
        node: &'node Node,
        (manifests, list): (&str, &str),
        without: &[&str],
    ) -> Self {
        let spec = pod_spec(manifests);
        let mut container = spec[list][0].clone();
        leave_repair_out(&mut container);
        let capabilities = &mut container["securityContext"]["capabilities"];
        if let Some(added) = capabilities["add"].as_array_mut() {
            let before = added.len();
            added.retain(|name| !without.contains(&name.as_str().unwrap()));
            assert_eq!(added.len() + without.len(), before, "{added:?}");
        }
        write_entry(node, manifests);
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, value: &Value| {
            let path = files.path().join(name);
            fs::write(&path, value.to_string()).unwrap();
            path.into_os_string().into_string().unwrap()
        };
        let pod = write("pod.json", &pod_config());
        let sandbox = must(node, &["runp", &pod]);
        let made = write("container.json", &container_config(&spec, &container));
        let container = must(node, &["create", &sandbox, &made, &pod]);
        must(node, &["start", &container]);
        Self {
            node,
            sandbox,
            container,
        }
    }

    /// The agent's `/readyz` answer, once it is ready.
    pub(crate) fn ready(&self, path: &str) -> String {
        let socket = self.node.path("/run/mesh-cni/agent.sock");
        self.wait("is not ready", || {
            let ready = ask_agent(&socket, "/readyz")?;
            ready.starts_with("HTTP/1.1 200").then_some(())
        });
        ask_agent(&socket, path).unwrap()
    }

    /// Waits until `ask` returns a value; it is called whenever the container has printed something.
    pub(crate) fn wait<T>(&self, what: &str, probe: impl FnMut() -> Option<T>) -> T {
        let logs = self.node.path("/var/log/pods");
        wait_for_change(&logs, MOST, what, probe)
    }

    /// Runs a command in it.
    pub(crate) fn exec(&self, words: &[&str]) -> Finished {
        let exec = ["exec", "--sync", &self.container];
        crictl(&self.node.isolated_host, &[&exec[..], words].concat())
    }

    /// Stops it.
    pub(crate) fn end(self) {
        let stopped = crictl(&self.node.isolated_host, &["stop", &self.container]);
        // If the container ends by itself at this moment, the connection to it ends too.
        let is_over = stopped.code == 0 || stopped.stderr.contains("ttrpc: closed");
        assert!(is_over, "{}", stopped.stderr);
        must(self.node, &["stopp", &self.sandbox]);
        must(self.node, &["rmp", &self.sandbox]);
        fs::remove_file(self.node.path("/var/log/pods/agent.log")).unwrap();
    }
}

/// There is no API server here, so repair cannot work.
fn leave_repair_out(container: &mut Value) {
    let arguments = container["args"].as_array_mut().unwrap();
    for argument in arguments {
        if argument == "--repair-enabled=true" {
            *argument = "--repair-enabled=false".into();
        }
    }
}

fn pod_spec(manifests: &str) -> Value {
    object(manifests, "DaemonSet")["spec"]["template"]["spec"].clone()
}

fn object(manifests: &str, kind: &str) -> Value {
    let objects: Vec<Option<Value>> = serde_saphyr::from_multiple(manifests).unwrap();
    let mut objects = objects.into_iter().flatten();
    let found = objects.find(|object| object["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in the manifests"))
}

fn write_entry(node: &Node, manifests: &str) {
    let folder = node.path(ENTRY);
    fs::create_dir_all(&folder).unwrap();
    if manifests == INSTALL {
        let text = object(manifests, "ConfigMap")["data"]["entry.json"].clone();
        let mut entry: Value = text.as_str().unwrap().parse().unwrap();
        entry["pod_source"] = "runtime".into();
        fs::write(folder.join("entry.json"), entry.to_string()).unwrap();
    }
}

/// A pod on the node's network, with the name that a kubelet gives it.
fn pod_config() -> Value {
    json!({
        "metadata": {
            "name": "mesh-cni-agent-x2k8q", "namespace": "kube-system", "uid": "agent", "attempt": 0
        },
        "log_directory": "/var/log/pods",
        "linux": {"security_context": {"namespace_options": {"network": 2}}},
    })
}

/// The CRI configuration that a kubelet creates from a container.
fn container_config(spec: &Value, container: &Value) -> Value {
    let context = &container["securityContext"];
    assert_eq!(
        spec["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    json!({
        "metadata": {"name": "agent"},
        "image": {"image": container["image"]},
        "command": container["command"],
        "args": expanded(&container["args"]),
        "envs": variables(container),
        "mounts": mounts(spec, container),
        "log_path": "agent.log",
        "linux": {"security_context": {
            "capabilities": {
                "add_capabilities": context["capabilities"]["add"],
                "drop_capabilities": context["capabilities"]["drop"],
            },
            "run_as_user": {"value": spec["securityContext"]["runAsUser"]},
            "readonly_rootfs": context["readOnlyRootFilesystem"],
            "no_new_privs": context["allowPrivilegeEscalation"] == false,
            // The runtime's default.
            "seccomp": {"profile_type": 0},
            "namespace_options": {"network": 2},
        }},
    })
}

/// The arguments with the variable that a kubelet expands.
fn expanded(arguments: &Value) -> Vec<String> {
    let arguments = arguments.as_array().unwrap().iter();
    let texts = arguments.map(|argument| argument.as_str().unwrap());
    texts
        .map(|text| text.replace("$(POD_IP)", "127.0.0.1"))
        .collect()
}

/// The variables, with the node's name for the one that a kubelet sets.
fn variables(container: &Value) -> Vec<Value> {
    let variables = container["env"].as_array().into_iter().flatten();
    variables
        .map(|variable| {
            let value = variable["value"].as_str().unwrap_or("node");
            json!({"key": variable["name"], "value": value})
        })
        .collect()
}

fn mounts(spec: &Value, container: &Value) -> Vec<Value> {
    let volumes = spec["volumes"].as_array().unwrap();
    let mounts = container["volumeMounts"].as_array().unwrap().iter();
    let mount = |mount: &Value| {
        let mut named = volumes.iter();
        let volume = named
            .find(|volume| volume["name"] == mount["name"])
            .unwrap();
        let path = volume["hostPath"]["path"].as_str().unwrap_or(ENTRY);
        json!({
            "container_path": mount["mountPath"],
            "host_path": path,
            "readonly": mount["readOnly"] == true,
        })
    };
    mounts.map(mount).collect()
}

fn must(node: &Node, words: &[&str]) -> String {
    let finished = crictl(&node.isolated_host, words);
    assert_eq!(finished.code, 0, "{words:?}: {}", finished.stderr);
    finished.stdout.trim().to_owned()
}

/// The path of a program of the image on this machine.
pub(crate) fn shipped(name: &str) -> PathBuf {
    static_programs().join(name)
}
