//! A real container runtime in an isolated host, called through the CRI as kubelet does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mesh_cni_netns::NetNs;
use serde_json::{Value, json};

use crate::{Finished, Image, IsolatedHost, Process, cluster_binary, finish, reference_plugins};

/// Its socket in the isolated host.
const SOCKET: &str = "unix:///run/containerd/containerd.sock";

/// The image of the sandboxes.
const PAUSE: &str = "mesh-cni.test/pause:1";

/// The timeout until it is ready; long, for slow and busy machines.
const TIMEOUT: Duration = Duration::from_secs(300);

/// containerd with runc and the reference CNI plugins in `/opt/cni/bin`, without a network
/// configuration.
#[derive(Debug)]
pub struct Containerd {
    process: Process,
}

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

impl Containerd {
    /// Starts it with its log in `state`, and imports the image of the sandboxes.
    pub fn start(isolated_host: &IsolatedHost, state: &Path) -> Self {
        let config = isolated_host.path("/etc/mesh-cni-tests.containerd.toml");
        fs::write(config, configuration()).expect("the isolated host's /etc can be written");
        let plugins = isolated_host.path("/opt/cni/bin");
        fs::create_dir_all(&plugins).expect("the isolated host's /opt can be written");
        for plugin in ["bridge", "host-local", "loopback", "portmap", "ptp"] {
            let copied = fs::copy(reference_plugins().join(plugin), plugins.join(plugin));
            copied.unwrap_or_else(|error| panic!("{plugin}: {error}"));
        }
        let mut command = isolated_host.command("containerd");
        command.args(["--config", "/etc/mesh-cni-tests.containerd.toml"]);
        let (log, socket) = (
            state.join("containerd.log"),
            state.join("containerd.notify"),
        );
        let process = Process::start_ready(&mut command, &log, &socket, TIMEOUT);
        let pause = state.join("pause.tar");
        let sleep = [(Path::new("/usr/bin/sleep"), "/usr/bin/sleep")];
        let image = Image {
            name: PAUSE,
            programs: &sleep,
            entrypoint: &["/usr/bin/sleep", "infinity"],
        };
        image.write(&pause);
        Self::import(isolated_host, &pause);
        Self { process }
    }

    /// Imports an image.
    pub fn import(isolated_host: &IsolatedHost, archive: &Path) {
        let archive = archive.display();
        isolated_host.must(&format!("ctr --namespace k8s.io images import {archive}"));
    }

    /// The process, for tests that stop it or read its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
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
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let file = directory.path().join("sandbox.json");
        let text = json!({
            "metadata": {
                "name": self.name, "namespace": self.namespace, "uid": self.uid, "attempt": 0
            },
            "annotations": self.annotations,
            "log_directory": "/var/log/pods",
            "linux": {},
        });
        fs::write(&file, text.to_string()).expect("a file can be written");
        let started = crictl(isolated_host, &["runp", &file.to_string_lossy()]);
        match started.code {
            0 => Ok(started.stdout.trim().to_owned()),
            _ => Err(started.stderr),
        }
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
    command.args(["--runtime-endpoint", SOCKET, "--timeout", "120s"]);
    finish(command.args(words), "")
}

fn configuration() -> String {
    format!(
        r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# Without CAP_SYS_RESOURCE a process cannot decrease an OOM score below its own.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#
    )
}
