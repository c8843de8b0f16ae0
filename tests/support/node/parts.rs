//! How the parts of a node are started that use the API server.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::{Place, Process, cluster_binary};

/// How long kubelet may take to be ready on a machine that is slow, cold and busy.
const MOST: Duration = Duration::from_secs(300);

/// The addresses of pods.
const PODS: &str = "10.244.0.0/16,fd00:244::/56";

/// The part with that name and the kubeconfig of that name.
fn part(place: &Place, directory: &Path, program: &str, user: &str) -> Command {
    let mut command = place.command(cluster_binary(program));
    let kubeconfig = directory.join(format!("{user}.kubeconfig"));
    command.arg(format!("--kubeconfig={}", kubeconfig.display()));
    command
}

pub(super) fn controllers(place: &Place, directory: &Path) -> Process {
    let shown = directory.display();
    let mut command = part(
        place,
        directory,
        "kube-controller-manager",
        "controller-manager",
    );
    command
        .arg("--leader-elect=false")
        // A kubelet that a busy machine keeps waiting is not one that is gone.
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

pub(super) fn scheduler(place: &Place, directory: &Path) -> Process {
    let mut command = part(place, directory, "kube-scheduler", "scheduler");
    command.arg("--leader-elect=false");
    Process::start(&command, &directory.join("scheduler.log"))
}

pub(super) fn kubelet(place: &Place, directory: &Path) -> Process {
    let file = directory.join("kubelet.json");
    let text = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        // Nobody but the enclosure reaches it.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "failSwapOn": false,
        // Nobody answers there: pods name what they need.
        "clusterDNS": ["10.96.0.10"],
        "oomScoreAdj": 0,
        "nodeStatusUpdateFrequency": "2s",
        "maxPods": 250,
        // A disk that is nearly full is this machine's own concern.
        "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
    });
    fs::write(&file, text.to_string()).expect("a file can be written");
    let mut command = part(place, directory, "kubelet", "kubelet");
    command
        .arg(format!("--config={}", file.display()))
        .args(["--hostname-override=node", "--node-ip=10.99.0.1,fd00:99::1"]);
    let (log, socket) = (
        directory.join("kubelet.log"),
        directory.join("kubelet.notify"),
    );
    Process::start_ready(&mut command, &log, &socket, MOST)
}

pub(super) fn kube_proxy(place: &Place, directory: &Path) -> Process {
    let mut command = part(place, directory, "kube-proxy", "kube-proxy");
    command
        .args(["--hostname-override=node", "--proxy-mode=iptables"])
        .arg(format!("--cluster-cidr={PODS}"))
        // The table of connections is the whole machine's.
        .args([
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
        ])
        .arg("--conntrack-tcp-timeout-close-wait=0");
    Process::start(&command, &directory.join("kube-proxy.log"))
}

/// Whether kube-proxy says that it has made the rules of the services; asked on the node.
pub(super) fn is_kube_proxy_healthy() -> bool {
    let asked = || -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", 10256))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().is_ok_and(|answer| answer.contains(" 200 OK"))
}
