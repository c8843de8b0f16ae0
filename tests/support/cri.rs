//! Sandboxes of a real container runtime in an isolated host, created through the CRI as a kubelet does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_netns::NetNs;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    Containerd, Crio, Finished, Image, IsolatedHost, cluster_binary, copy_program, finish,
    reference_plugins,
};

/// The sockets of the runtimes in the isolated host.
const SOCKETS: [&str; 2] = [Crio::SOCKET, Containerd::SOCKET];

/// The image of the sandboxes, which also runs as a container.
pub(crate) const PAUSE: &str = "mesh-cni.test/pause:1";

/// The CRI's `NamespaceMode` for a process namespace of each container, the default of a kubelet.
const CONTAINER_PID: u32 = 1;

/// The pod of a sandbox.
#[derive(Clone, Debug)]
pub struct SandboxPod {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: String,
    /// Its annotations, which the runtime may pass on.
    pub annotations: BTreeMap<String, String>,
}

impl SandboxPod {
    /// A pod of namespace `default`.
    pub fn new(name: &str, uid: &str) -> Self {
        Self {
            namespace: "default".to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            annotations: BTreeMap::new(),
        }
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Starts a sandbox; returns its id, or the error output.
    pub fn start(&self, isolated_host: &IsolatedHost) -> Result<String, String> {
        let file = written(&self.config());
        let started = crictl(isolated_host, &["runp", &file.path().to_string_lossy()]);
        match started.code {
            0 => Ok(started.stdout.trim().to_owned()),
            _ => Err(started.stderr),
        }
    }

    /// Starts a container that waits, in a sandbox of this pod, and returns its id.
    pub fn start_container(&self, isolated_host: &IsolatedHost, sandbox: &str) -> String {
        let must = |words: &[&str]| {
            let finished = crictl(isolated_host, words);
            assert_eq!(finished.code, 0, "{words:?}: {}", finished.stderr);
            finished.stdout.trim().to_owned()
        };
        let container = written(&json!({
            "metadata": {"name": "app"},
            "image": {"image": PAUSE},
            "log_path": "app.log",
            "linux": {"security_context": {"namespace_options": {"pid": CONTAINER_PID}}},
        }));
        let pod = written(&self.config());
        let (container, pod) = (container.path(), pod.path());
        let (container, pod) = (container.to_string_lossy(), pod.to_string_lossy());
        let container = must(&["create", sandbox, &container, &pod]);
        must(&["start", &container]);
        container
    }

    fn config(&self) -> Value {
        json!({
            "metadata": {
                "name": self.name, "namespace": self.namespace, "uid": self.uid, "attempt": 0
            },
            "annotations": self.annotations,
            "log_directory": "/var/log/pods",
            // As a kubelet sends it. With a process namespace for each container, CRI-O starts no
            // process for the sandbox.
            "linux": {
                "cgroup_parent": self.cgroup_parent(),
                "security_context": {"namespace_options": {"pid": CONTAINER_PID}},
            },
        })
    }

    /// The control group that a kubelet creates for a pod of the lowest class.
    fn cgroup_parent(&self) -> String {
        format!("/kubepods/besteffort/pod{}", self.uid)
    }

    /// Kills a container. A kubelet, too, stops the containers before the sandbox.
    pub fn end_container(isolated_host: &IsolatedHost, container: &str) {
        let stopped = crictl(isolated_host, &["stop", "--timeout", "0", container]);
        assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    }

    /// Stops and removes a sandbox.
    pub fn end(isolated_host: &IsolatedHost, sandbox: &str) {
        for command in ["stopp", "rmp"] {
            let finished = crictl(isolated_host, &[command, sandbox]);
            assert_eq!(finished.code, 0, "{command}: {}", finished.stderr);
        }
    }

    /// The network namespace of a sandbox.
    pub fn netns(isolated_host: &IsolatedHost, sandbox: &str) -> NetNs {
        let found = crictl(isolated_host, &["inspectp", "--output", "json", sandbox]);
        let found: Value = serde_json::from_str(&found.stdout).expect("crictl prints JSON");
        let namespaces = &found["info"]["runtimeSpec"]["linux"]["namespaces"];
        let mut namespaces = namespaces.as_array().into_iter().flatten();
        let network = namespaces.find(|namespace| namespace["type"] == "network");
        let path = network.and_then(|network| network["path"].as_str());
        let path = PathBuf::from(path.unwrap_or_else(|| panic!("no network in {found}")));
        let name = path.file_name().expect("it is in a directory");
        isolated_host.netns(&name.to_string_lossy())
    }
}

/// Runs `crictl` in the isolated host.
pub fn crictl(isolated_host: &IsolatedHost, words: &[&str]) -> Finished {
    let mut command: Command = isolated_host.command(cluster_binary("crictl"));
    command.args([
        "--runtime-endpoint",
        &socket(isolated_host),
        "--timeout",
        "120s",
    ]);
    finish(command.args(words), "")
}

/// The socket of the runtime that runs.
fn socket(isolated_host: &IsolatedHost) -> String {
    let mut sockets = SOCKETS.iter();
    let found = sockets.find(|socket| isolated_host.path(socket).exists());
    format!("unix://{}", found.expect("a runtime runs"))
}

fn written(config: &Value) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file can be created");
    let written = file.write_all(config.to_string().as_bytes());
    written.expect("a file can be written");
    file
}

/// Copies the reference CNI plugins to `/opt/cni/bin`.
pub(crate) fn install_reference_plugins(isolated_host: &IsolatedHost) {
    let plugins = isolated_host.path("/opt/cni/bin");
    fs::create_dir_all(&plugins).expect("the isolated host's /opt can be written");
    for plugin in ["bridge", "host-local", "loopback", "portmap", "ptp"] {
        copy_program(&reference_plugins().join(plugin), &plugins.join(plugin));
    }
}

/// Writes the image of the sandboxes, an OCI archive, to `state`.
pub(crate) fn write_pause(state: &Path) -> PathBuf {
    let archive = state.join("pause.tar");
    let sleep = [(Path::new("/usr/bin/sleep"), "/usr/bin/sleep")];
    let image = Image {
        name: PAUSE,
        programs: &sleep,
        entrypoint: &["/usr/bin/sleep", "infinity"],
    };
    image.write(&archive);
    archive
}
