//! The node agent with an API server, and the service account and permissions of the manifests.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::Value;

use crate::{KubeApi, PRODUCTPAGE, Process, mesh_cni_agent};

/// The manifests for operators.
pub const MANIFESTS: &str = include_str!("../../deploy/manifests/mesh-cni.yaml");

/// The timeout for every wait; long, for busy machines.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running agent on node `node-1`.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    client: AgentClient,
}

/// Sends requests to an agent, and reads its log.
#[derive(Clone, Debug)]
pub struct AgentClient {
    /// The directory of its socket.
    pub run_dir: PathBuf,
    log: PathBuf,
}

impl Agent {
    /// Starts an agent with its files in `directory` and without installation, and waits until it has
    /// received its pods.
    pub fn start(api: &KubeApi, directory: &Path) -> Self {
        api.apply(MANIFESTS);
        let kubeconfig = api.kubeconfig_of("kube-system", "mesh-cni");
        let mut agent = Self::spawn(&Self::command(&kubeconfig, directory), directory);
        agent.wait_for_pods();
        agent
    }

    /// The command that starts an agent without installation.
    pub fn command(kubeconfig: &Path, directory: &Path) -> Command {
        let mut command = Self::installing(kubeconfig, directory);
        command.args(["--install", "false"]);
        command
    }

    /// As [`Agent::command`], but the caller sets the flags for the installation.
    pub fn installing(kubeconfig: &Path, directory: &Path) -> Command {
        let mut command = Self::on(kubeconfig, directory);
        command.args(["--health-addr", "off", "--metrics-addr", "off"]);
        command
    }

    /// As [`Agent::command`], with the ports of health and metrics on these addresses.
    pub fn on_ports(
        kubeconfig: &Path,
        directory: &Path,
        [health, metrics]: [SocketAddr; 2],
    ) -> Command {
        let mut command = Self::on(kubeconfig, directory);
        command
            .args(["--install", "false"])
            .args(["--health-addr", &health.to_string()])
            .args(["--metrics-addr", &metrics.to_string()]);
        command
    }

    fn on(kubeconfig: &Path, directory: &Path) -> Command {
        let mut command = Command::new(mesh_cni_agent());
        command
            .args(["run", "--node-name", "node-1"])
            .arg("--run-dir")
            .arg(directory.join("run"))
            .arg("--api-kubeconfig")
            .arg(kubeconfig);
        command
    }

    /// Starts one of the commands above, which must use the same directory, with a new log.
    pub fn spawn(command: &Command, directory: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = directory.join(format!("agent.{number}.log"));
        Self {
            process: Process::start(command, &log),
            client: AgentClient {
                run_dir: directory.join("run"),
                log,
            },
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// A client for it.
    pub fn client(&self) -> &AgentClient {
        &self.client
    }

    /// Calls `probe` now, and again after each line of the log, until it returns a value; `what`
    /// describes the failure.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut probe: impl FnMut(&AgentClient) -> Option<T>,
    ) -> T {
        self.process.wait_for(what, TIMEOUT, || probe(&self.client))
    }

    /// Waits until its log contains the text.
    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_for(&format!("has not logged `{text}`"), |client| {
            client.log().contains(text).then_some(())
        });
    }

    /// Waits until it has received every pod of its node.
    pub fn wait_for_pods(&mut self) {
        self.wait_for("has not received its pods", |client| {
            client.has_received_its_pods().then_some(())
        });
    }
}

impl AgentClient {
    /// The whole response to `GET`; `None` if the agent does not listen.
    pub fn get(&self, path: &str) -> Option<String> {
        ask_agent(&self.run_dir.join("agent.sock"), path)
    }

    /// Whether it has received every pod of its node.
    pub fn has_received_its_pods(&self) -> bool {
        let ready = self.get("/readyz/watch");
        ready.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log is text")
    }
}

/// The agent's whole response to `GET`; `None` if it does not listen.
pub fn ask_agent(socket: &Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// The documented pod with another name and without the fields that an API server sets; without a
/// sidecar unless `meshed`.
pub fn pod_for_api(name: &str, meshed: bool) -> Value {
    let pod = serde_saphyr::from_str(PRODUCTPAGE);
    let mut pod: Value = pod.expect("the documented manifest is YAML");
    pod["metadata"]["name"] = name.into();
    for set_by_server in ["uid", "ownerReferences"] {
        pod["metadata"]
            .as_object_mut()
            .expect("a pod has metadata")
            .remove(set_by_server);
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
