//! STATUS: a runtime that supports CNI 1.1 asks the plugin whether the node's network works, and
//! reports that to the kubelet.

use std::fs;
use std::time::Duration;

use mesh_cni_tests::{
    Agent, IsolatedHost, KubeApi, Process, copy_program, crictl, mesh_cni, newer_containerd,
};
use serde_json::{Value, json};

/// How long a test waits for readiness.
const MOST: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"version = 3
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
"#;

/// The runtime's `NetworkReady` condition: whether the network is ready, and why not.
fn network(isolated_host: &IsolatedHost) -> (bool, String) {
    let info = crictl(isolated_host, &["info"]);
    assert_eq!(info.code, 0, "{}", info.stderr);
    let info: Value = info.stdout.parse().unwrap();
    let mut conditions = info["status"]["conditions"].as_array().unwrap().iter();
    let network = conditions.find(|it| it["type"] == "NetworkReady").unwrap();
    let message = network["message"].as_str().unwrap_or_default().to_owned();
    (network["status"] == true, message)
}

#[test]
fn the_network_is_ready_while_an_add_would_work() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    let isolated_host = IsolatedHost::start(state);
    let lists = isolated_host.path("/etc/cni/net.d");
    for folder in [&lists, &isolated_host.path("/opt/cni/bin")] {
        fs::create_dir_all(folder).unwrap();
    }
    copy_program(&mesh_cni(), &isolated_host.path("/opt/cni/bin/mesh-cni"));
    let list = json!({
        "cniVersion": "1.1.0",
        "name": "pod-network",
        "plugins": [{
            "type": "mesh-cni",
            "standalone": true,
            "pod_source": "agent",
            "cni_agent_run_dir": state.join("run"),
        }],
    });
    fs::write(lists.join("10-pod-network.conflist"), list.to_string()).unwrap();
    fs::write(isolated_host.path("/etc/containerd-2.toml"), CONFIG).unwrap();
    let mut command = isolated_host.command(newer_containerd());
    command.args(["--config", "/etc/containerd-2.toml"]);
    let (log, socket) = (state.join("log"), state.join("notify"));
    let containerd = Process::start_ready(&mut command, &log, &socket, MOST);

    let (ready, why) = network(&isolated_host);
    assert!(!ready, "without an agent no ADD would work");
    insta::assert_snapshot!(why.replace(state.to_str().unwrap(), "…"), @"Network plugin returns error: the agent does not answer on `…/run/agent.sock`: the connection failed: No such file or directory (os error 2); check the agent on this node, a pod of the mesh-cni DaemonSet: it is starting or stopped, or its run directory is not `cni_agent_run_dir`; the runtime tries again");

    let api = KubeApi::start();
    let agent = Agent::start(&api, state);
    assert_eq!(network(&isolated_host), (true, String::new()));
    drop(agent);
    let (ready, again) = network(&isolated_host);
    assert!(!ready, "{again}");
    drop(containerd);
}
