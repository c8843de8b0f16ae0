//! A real container runtime in an enclosure, called as kubelet calls it: through the CRI.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mesh_cni_netns::NetNs;
use serde_json::{Value, json};

use crate::{Enclosure, Finished, Image, Process, cluster_binary, finish, reference_plugins};

/// Where it listens, inside.
const SOCKET: &str = "unix:///run/containerd/containerd.sock";

/// The image of every sandbox's own container.
const PAUSE: &str = "mesh-cni.test/pause:1";

/// How long it may take to be ready on a machine that is slow, cold and busy.
const MOST: Duration = Duration::from_secs(300);

/// containerd with runc, the reference CNI plugins in its `/opt/cni/bin`, and no network
/// configuration yet.
#[derive(Debug)]
pub struct Containerd {
    process: Process,
}

/// What a sandbox is made for.
#[derive(Clone, Debug)]
pub struct SandboxPod {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: String,
    /// Its annotations, which the runtime may hand on.
    pub annotations: BTreeMap<String, String>,
}

impl Containerd {
    /// Starts it, with its log in `state`, and gives it the image of its sandboxes.
    pub fn start(enclosure: &Enclosure, state: &Path) -> Self {
        let config = enclosure.path("/etc/mesh-cni-tests.containerd.toml");
        fs::write(config, configuration()).expect("the enclosure's /etc can be written");
        let plugins = enclosure.path("/opt/cni/bin");
        fs::create_dir_all(&plugins).expect("the enclosure's /opt can be written");
        for plugin in ["bridge", "host-local", "loopback", "portmap", "ptp"] {
            let copied = fs::copy(reference_plugins().join(plugin), plugins.join(plugin));
            copied.unwrap_or_else(|error| panic!("{plugin}: {error}"));
        }
        let mut command = enclosure.command("containerd");
        command.args(["--config", "/etc/mesh-cni-tests.containerd.toml"]);
        let (log, socket) = (
            state.join("containerd.log"),
            state.join("containerd.notify"),
        );
        let process = Process::start_ready(&mut command, &log, &socket, MOST);
        let pause = state.join("pause.tar");
        let sleep = [(Path::new("/usr/bin/sleep"), "/usr/bin/sleep")];
        let image = Image {
            name: PAUSE,
            programs: &sleep,
            entrypoint: &["/usr/bin/sleep", "infinity"],
        };
        image.write(&pause);
        Self::import(enclosure, &pause);
        Self { process }
    }

    /// Gives it an image.
    pub fn import(enclosure: &Enclosure, archive: &Path) {
        let archive = archive.display();
        enclosure.must(&format!("ctr --namespace k8s.io images import {archive}"));
    }

    /// The process, for tests that end it or read its words.
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

    /// The same with that annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Starts a sandbox for it; gives back the sandbox's identifier, or what was said instead.
    pub fn start(&self, enclosure: &Enclosure) -> Result<String, String> {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
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
        let started = crictl(enclosure, &["runp", &file.to_string_lossy()]);
        match started.code {
            0 => Ok(started.stdout.trim().to_owned()),
            _ => Err(started.stderr),
        }
    }

    /// Ends that sandbox and removes it.
    pub fn end(enclosure: &Enclosure, sandbox: &str) {
        for command in ["stopp", "rmp"] {
            let finished = crictl(enclosure, &[command, sandbox]);
            assert_eq!(finished.code, 0, "{command}: {}", finished.stderr);
        }
    }

    /// The network namespace of that sandbox.
    pub fn netns(enclosure: &Enclosure, sandbox: &str) -> NetNs {
        let found = crictl(enclosure, &["inspectp", "--output", "json", sandbox]);
        let found: Value = serde_json::from_str(&found.stdout).expect("crictl prints JSON");
        let namespaces = &found["info"]["runtimeSpec"]["linux"]["namespaces"];
        let mut namespaces = namespaces.as_array().into_iter().flatten();
        let network = namespaces.find(|namespace| namespace["type"] == "network");
        let path = network.and_then(|network| network["path"].as_str());
        let path = PathBuf::from(path.unwrap_or_else(|| panic!("no network in {found}")));
        let name = path.file_name().expect("it lies in a folder");
        enclosure.netns(&name.to_string_lossy())
    }
}

/// Calls the runtime as kubelet does, from a process of its own.
pub fn crictl(enclosure: &Enclosure, words: &[&str]) -> Finished {
    let mut command: Command = enclosure.command(cluster_binary("crictl"));
    command.args(["--runtime-endpoint", SOCKET, "--timeout", "120s"]);
    finish(command.args(words), "")
}

fn configuration() -> String {
    format!(
        r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed than oneself.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#
    )
}
