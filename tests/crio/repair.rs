//! Repair of a pod that started before the plugin: conmon, the monitor of its container, is in the
//! pod's control group, but not in its network.

use std::fs;
use std::path::Path;

use mesh_cni_tests::{Agent, KubeApi, MANIFESTS, SandboxPod, pod_for_api};
use serde_json::json;

use crate::node::{Node, address, difference, has_no_rules};

/// Whether a monitor of that container runs in the control group of that pod.
fn has_monitor(pod: &SandboxPod, container: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut groups = processes.filter_map(|it| fs::read_to_string(it.path().join("cgroup")).ok());
    let (pod, monitor) = (
        format!("/pod{}/", pod.uid),
        format!("crio-conmon-{container}"),
    );
    groups.any(|groups| groups.contains(&pod) && groups.contains(&monitor))
}

#[test]
fn a_pod_with_a_monitor_is_repaired_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    api.apply(r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}"#);
    let mut manifest = pod_for_api("early", true);
    manifest["spec"]["nodeName"] = json!("node-1");
    api.apply(&manifest.to_string());
    let uid = api.get("pod early")["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();

    let node = Node::with(None);
    let pod = SandboxPod::new("early", &uid);
    let sandbox = pod.start(&node.isolated_host).unwrap();
    let container = pod.start_container(&node.isolated_host, &sandbox);
    assert!(
        has_monitor(&pod, &container),
        "this test needs conmon in the pod's group"
    );
    assert!(has_no_rules(&node, &sandbox));
    let address = address(&node, &sandbox);
    let status = json!({"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
    }});
    let patch = [
        "patch",
        "pod",
        "early",
        "--subresource=status",
        "--type=merge",
        "--patch",
    ];
    let patched = api.kubectl([&patch[..], &[&status.to_string()]].concat(), "");
    assert_eq!(patched.code, 0, "{}", patched.stderr);

    let mut agent = repairing_agent(&api, directory.path());
    let repaired = r#"mesh_cni_repairs_total{type="repair",result="success"} 1"#;
    agent.wait_for("has not repaired the pod", |agent| {
        agent.get("/metrics")?.contains(repaired).then_some(())
    });
    assert_eq!(difference(&node, &sandbox), None);
    let page = agent.client().get("/pods/default/early").unwrap();
    assert!(!page.contains("node's own network"), "{page}");
    assert!(page.contains("ISTIO_OUTPUT"), "{page}");
}

fn repairing_agent(api: &KubeApi, directory: &Path) -> Agent {
    let account = api.kubeconfig_bound("kube-system", "mesh-cni", "Node", "node-1");
    let mut command = Agent::command(&account, directory);
    command.arg("--repair-enabled=true");
    let mut agent = Agent::spawn(&command, directory);
    agent.wait_for_pods();
    agent
}
