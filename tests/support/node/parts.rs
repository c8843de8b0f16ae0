//! Starts the components of a node that use the API server.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::{Host, Process, cluster_binary};

/// The timeout until kubelet is ready; long, for slow and busy machines.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The address ranges of pods.
const PODS: &str = "10.244.0.0/16,fd00:244::/56";

/// The command of a component with the kubeconfig of a user.
fn part(host: &Host, directory: &Path, program: &str, user: &str) -> Command {
    let mut command = host.command(cluster_binary(program));
    let kubeconfig = directory.join(format!("{user}.kubeconfig"));
    command.arg(format!("--kubeconfig={}", kubeconfig.display()));
    command
}

pub(super) fn controllers(host: &Host, directory: &Path) -> Process {
    let shown = directory.display();
    let mut command = part(
        host,
        directory,
        "kube-controller-manager",
        "controller-manager",
    );
    command
        .arg("--leader-elect=false")
        // On a busy machine, kubelet may be slow.
        .arg("--node-monitor-grace-period=10m")
        .arg("--use-service-account-credentials=true")
        .arg(format!(
            "--service-account-private-key-file={shown}/tokens.key"
        ))
        .arg(format!("--root-ca-file={shown}/ca.crt"))
        .arg("--allocate-node-cidrs=true")
        .arg(format!("--cluster-cidr={PODS}"));
    Process::start(&command, &directory.join("controller-manager.log"))
}

pub(super) fn scheduler(host: &Host, directory: &Path) -> Process {
    let mut command = part(host, directory, "kube-scheduler", "scheduler");
    command.arg("--leader-elect=false");
    Process::start(&command, &directory.join("scheduler.log"))
}

pub(super) fn kubelet(host: &Host, directory: &Path, runtime_socket: &str) -> Process {
    let file = directory.join("kubelet.json");
    let text = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        // Only the isolated host can reach it.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": format!("unix://{runtime_socket}"),
        "failSwapOn": false,
        // There is no DNS server; pods do not need one.
        "clusterDNS": ["10.96.0.10"],
        "oomScoreAdj": 0,
        "nodeStatusUpdateFrequency": "2s",
        "maxPods": 250,
        // An almost full disk must not evict pods.
        "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
    });
    fs::write(&file, text.to_string()).expect("a file can be written");
    let mut command = part(host, directory, "kubelet", "kubelet");
    command
        .arg(format!("--config={}", file.display()))
        .args(["--hostname-override=node", "--node-ip=10.99.0.1,fd00:99::1"]);
    let (log, socket) = (
        directory.join("kubelet.log"),
        directory.join("kubelet.notify"),
    );
    Process::start_ready(&mut command, &log, &socket, TIMEOUT)
}

pub(super) fn kube_proxy(host: &Host, directory: &Path) -> Process {
    let mut command = part(host, directory, "kube-proxy", "kube-proxy");
    command
        .args(["--hostname-override=node", "--proxy-mode=iptables"])
        .arg(format!("--cluster-cidr={PODS}"))
        // The connection tracking limits apply to the whole machine, so they must not change.
        .args([
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
        ])
        .arg("--conntrack-tcp-timeout-close-wait=0");
    Process::start(&command, &directory.join("kube-proxy.log"))
}

/// Whether kube-proxy reports that its rules are up to date; must run on the node.
pub(super) fn is_kube_proxy_healthy() -> bool {
    let get = || -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", 10256))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    };
    get().is_ok_and(|response| response.contains(" 200 OK"))
}
