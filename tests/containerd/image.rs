//! The image, run by containerd with the settings of the manifests: what it installs, what it
//! answers, what it removes, and which capabilities it needs.

use std::fs;
use std::os::unix::fs::MetadataExt;

use mesh_cni_tests::SandboxPod;

use crate::agent_pod::{AgentPod, INSTALL, UNINSTALL, import_image, shipped};
use crate::node::Node;
use crate::runtime_source::documented;
use crate::sandboxes::difference;

const LIST: &str = "/etc/cni/net.d/10-pod-network.conflist";
const PLUGIN: &str = "/opt/cni/bin/mesh-cni";

#[test]
fn the_image_installs_and_uninstalls_the_plugin() {
    let node = Node::with(None);
    import_image(&node);
    let before = fs::read_to_string(node.path(LIST)).unwrap();
    let agent = AgentPod::start(&node, (INSTALL, "containers"), &[]);
    let status = agent.ready("/v1/status");
    assert!(status.contains(r#""name":"netlink""#), "{status}");
    assert_eq!(
        fs::read(node.path(PLUGIN)).unwrap(),
        fs::read(shipped("mesh-cni")).unwrap()
    );
    let plugin = fs::metadata(node.path(PLUGIN)).unwrap();
    assert_eq!((plugin.mode() & 0o7777, plugin.uid()), (0o755, 0));
    let status = agent.exec(&["mesh-cni-agent", "status"]);
    assert_eq!(status.code, 0, "{}{}", status.stdout, status.stderr);
    assert!(status.stdout.starts_with("running"), "{}", status.stdout);

    let meshed = documented("meshed").start(&node.isolated_host).unwrap();
    let plain = SandboxPod::new("plain", "p-1");
    let plain = plain.start(&node.isolated_host).unwrap();
    assert_eq!(difference(&node, &meshed), None);
    assert_eq!(node.live_rules(&plain).tables.len(), 0);
    let status = agent.exec(&["mesh-cnictl", "status"]);
    assert_eq!(status.code, 0, "{}{}", status.stdout, status.stderr);
    // It finds the sandbox in the node's /proc and enters its network namespace; this agent knows no pods to
    // compare with.
    let found = agent.exec(&["mesh-cnictl", "verify", "--container", &meshed]);
    let known = "nothing to compare with";
    assert!(found.stderr.contains(known), "{}", found.stderr);
    let (_, pid) = found.stderr.split_once("note: process ").unwrap();
    let (pid, _) = pid.split_once(", rules read by netlink").unwrap();
    let packet = "--packet=out tcp 192.0.2.10:80 uid 1000";
    let explained = agent.exec(&["mesh-cnictl", "explain", "--pid", pid, packet]);
    assert_eq!(explained.code, 0, "{}", explained.stderr);
    let end = "outbound listener on 15001";
    assert!(explained.stdout.contains(end), "{}", explained.stdout);
    let metrics = agent.ready("/metrics");
    for decided in [
        r#"{decision="redirect",reason="container"} 1"#,
        r#"{decision="skip",reason="no-istio-proxy"} 1"#,
    ] {
        assert!(metrics.contains(decided), "{metrics}");
    }
    agent.end();
    assert!(
        node.path(PLUGIN).exists(),
        "an agent that stops leaves the plugin installed"
    );
    for sandbox in [meshed, plain] {
        SandboxPod::end(&node.isolated_host, &sandbox);
    }

    let leaving = AgentPod::start(&node, (UNINSTALL, "initContainers"), &[]);
    leaving.wait("the plugin is still there", || {
        (!node.path(PLUGIN).exists()).then_some(())
    });
    let list = fs::read_to_string(node.path(LIST)).unwrap();
    assert!(!list.contains("mesh-cni"), "{list} and not {before}");
    leaving.end();
}

/// Without `NET_ADMIN` the agent reports that it cannot probe the back ends, and installs the plugin
/// nevertheless. The other capabilities are needed for repair.
#[test]
fn without_net_admin_the_agent_reports_what_it_cannot_probe() {
    let node = Node::with(None);
    import_image(&node);
    let agent = AgentPod::start(&node, (INSTALL, "containers"), &["NET_ADMIN"]);
    let status = agent.ready("/v1/status");
    let (_, backend) = status.split_once(r#""backend":"#).unwrap();
    assert!(backend.starts_with(r#"{"detail":"#), "{backend}");
    assert!(backend.contains("Operation not permitted"), "{backend}");
    agent.end();
    assert!(node.path(PLUGIN).exists());
}
