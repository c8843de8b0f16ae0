//! The containers of the daemon set, as the manifests describe them, made by containerd on a node
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

/// How long a part may take on a busy machine.
const MOST: Duration = Duration::from_secs(60);

/// What operators apply, and what they apply to be rid of it.
pub(crate) const INSTALL: &str = include_str!("../../deploy/manifests/mesh-cni.yaml");
pub(crate) const UNINSTALL: &str = include_str!("../../deploy/manifests/mesh-cni-uninstall.yaml");

/// Where a `ConfigMap` would be mounted from.
const ENTRY: &str = "/etc/mesh-cni-entry";

/// Makes the image of the programs of this build, and gives it to the node.
pub(crate) fn import_image(node: &Node) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("mesh-cni.tar");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/image");
    let mut image = Command::new(script);
    let made = finish(image.arg(static_programs()).arg(&archive), "");
    assert_eq!(made.code, 0, "{}", made.stderr);
    Containerd::import(&node.enclosure, &archive);
}

/// A container of the daemon set that runs.
pub(crate) struct AgentPod<'node> {
    node: &'node Node,
    sandbox: String,
    container: String,
}

impl<'node> AgentPod<'node> {
    /// Starts the first container of that list of those manifests, without these capabilities. The
    /// plugin that it installs takes the facts about pods from the runtime.
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

    /// What the agent answers once it says that it is ready.
    pub(crate) fn ready(&self, path: &str) -> String {
        let socket = self.node.path("/run/mesh-cni/agent.sock");
        self.wait("is not ready", || {
            let ready = ask_agent(&socket, "/readyz")?;
            ready.starts_with("HTTP/1.1 200").then_some(())
        });
        ask_agent(&socket, path).unwrap()
    }

    /// Waits until there is an answer; asked whenever the container has said more.
    pub(crate) fn wait<T>(&self, what: &str, probe: impl FnMut() -> Option<T>) -> T {
        let logs = self.node.path("/var/log/pods");
        wait_for_change(&logs, MOST, what, probe)
    }

    /// Runs a command in it.
    pub(crate) fn exec(&self, words: &[&str]) -> Finished {
        let exec = ["exec", "--sync", &self.container];
        crictl(&self.node.enclosure, &[&exec[..], words].concat())
    }

    /// Ends it.
    pub(crate) fn end(self) {
        let stopped = crictl(&self.node.enclosure, &["stop", &self.container]);
        // One that ends by itself at this moment takes the connection to it along.
        let is_over = stopped.code == 0 || stopped.stderr.contains("ttrpc: closed");
        assert!(is_over, "{}", stopped.stderr);
        must(self.node, &["stopp", &self.sandbox]);
        must(self.node, &["rmp", &self.sandbox]);
        fs::remove_file(self.node.path("/var/log/pods/agent.log")).unwrap();
    }
}

/// There is no API server here, and so nobody to say which pods are broken.
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

/// The pod on the network of the node, which a kubelet would name so.
fn pod_config() -> Value {
    json!({
        "metadata": {
            "name": "mesh-cni-agent-x2k8q", "namespace": "kube-system", "uid": "agent", "attempt": 0
        },
        "log_directory": "/var/log/pods",
        "linux": {"security_context": {"namespace_options": {"network": 2}}},
    })
}

/// What a kubelet makes of a container of a pod.
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
        "args": container["args"],
        "envs": [{"key": "NODE_NAME", "value": "node"}],
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
            // The runtime's own.
            "seccomp": {"profile_type": 0},
            "namespace_options": {"network": 2},
        }},
    })
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
    let finished = crictl(&node.enclosure, words);
    assert_eq!(finished.code, 0, "{words:?}: {}", finished.stderr);
    finished.stdout.trim().to_owned()
}

/// Where a program of the image lies, outside of it.
pub(crate) fn shipped(name: &str) -> PathBuf {
    static_programs().join(name)
}
