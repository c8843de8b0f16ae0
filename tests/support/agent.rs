//! The node agent beside an API server, with the account and the rights that are shipped.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::Value;

use crate::{KubeApi, PRODUCTPAGE, Process, mesh_cni_agent};

/// What operators apply.
pub const MANIFESTS: &str = include_str!("../../deploy/manifests/mesh-cni.yaml");

/// How long anything may take on a busy machine.
const MOST: Duration = Duration::from_secs(60);

/// A running agent of node `node-1`.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    door: AgentDoor,
}

/// Where an agent answers, and where it writes.
#[derive(Clone, Debug)]
pub struct AgentDoor {
    /// The directory of its socket.
    pub run_dir: PathBuf,
    log: PathBuf,
}

impl Agent {
    /// Starts one that installs nothing, with what lies in `directory`, and waits until it knows its
    /// pods.
    pub fn start(api: &KubeApi, directory: &Path) -> Self {
        api.apply(MANIFESTS);
        let kubeconfig = api.kubeconfig_of("kube-system", "mesh-cni");
        let mut agent = Self::begin(&Self::command(&kubeconfig, directory), directory);
        agent.wait_for("does not know its pods", AgentDoor::knows_its_pods);
        agent
    }

    /// The command that starts it with that way to the API server; it installs nothing.
    pub fn command(kubeconfig: &Path, directory: &Path) -> Command {
        let mut command = Self::installing(kubeconfig, directory);
        command.args(["--install", "false"]);
        command
    }

    /// The same for one that is told where to install.
    pub fn installing(kubeconfig: &Path, directory: &Path) -> Command {
        let mut command = Command::new(mesh_cni_agent());
        command
            .args(["run", "--node-name", "node-1"])
            .args(["--health-addr", "off", "--metrics-addr", "off"])
            .arg("--run-dir")
            .arg(directory.join("run"))
            .arg("--api-kubeconfig")
            .arg(kubeconfig);
        command
    }

    /// Starts that command, which is one of those above for that directory.
    pub fn begin(command: &Command, directory: &Path) -> Self {
        let log = directory.join("agent.log");
        Self {
            process: Process::start(command, &log),
            door: AgentDoor {
                run_dir: directory.join("run"),
                log,
            },
        }
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Where it answers.
    pub fn door(&self) -> &AgentDoor {
        &self.door
    }

    /// Waits until that is so of it.
    pub fn wait_for(&mut self, what: &str, is_so: impl Fn(&AgentDoor) -> bool) {
        let door = self.door.clone();
        let probe = || is_so(&door).then_some(());
        self.process.wait_for(what, MOST, probe);
    }
}

impl AgentDoor {
    /// The whole answer to `GET` of that path; `None` where it does not listen.
    pub fn ask(&self, path: &str) -> Option<String> {
        ask_agent(&self.run_dir.join("agent.sock"), path)
    }

    /// Whether it has heard of every pod of its node.
    pub fn knows_its_pods(&self) -> bool {
        let ready = self.ask("/readyz/watch");
        ready.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log is text")
    }
}

/// The agent's whole answer to `GET` of that path; `None` where it does not listen.
pub fn ask_agent(socket: &Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// The documented pod under another name, for an API server to give a UID to; without a sidecar
/// where it is not `meshed`.
pub fn pod_for_api(name: &str, meshed: bool) -> Value {
    let pod = serde_saphyr::from_str(PRODUCTPAGE);
    let mut pod: Value = pod.expect("the documented manifest is YAML");
    pod["metadata"]["name"] = name.into();
    for server_gives in ["uid", "ownerReferences"] {
        pod["metadata"]
            .as_object_mut()
            .expect("a pod has metadata")
            .remove(server_gives);
    }
    pod.as_object_mut()
        .expect("a pod is an object")
        .remove("status");
    if !meshed {
        let containers = pod["spec"]["containers"].as_array_mut();
        containers
            .expect("a pod has containers")
            .retain(|container| container["name"] != "istio-proxy");
    }
    pod
}
