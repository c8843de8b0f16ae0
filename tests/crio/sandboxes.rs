//! Sandboxes: ADD and CHECK at their start, DEL at their end, and the pod sources that need no agent.

use std::fs;

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{Crio, SandboxPod, rules_with_annotations};
use serde_json::json;

use crate::node::{Node, address, difference, has_no_rules, with_manifest};

#[test]
fn a_sandbox_gets_its_rules_and_leaves_nothing() {
    let node = Node::start();
    let pod = with_manifest(&node, "cart");
    let sandbox = pod.start(&node.isolated_host).unwrap();
    assert_eq!(difference(&node, &sandbox), None);
    assert_ne!(
        address(&node, &sandbox),
        "",
        "CRI-O reports the address after a CHECK"
    );
    SandboxPod::end(&node.isolated_host, &sandbox);
    assert_eq!(node.leased_addresses(), Vec::<String>::new());

    // A refused pod leaves no address either, and its user reads why.
    let unknown = SandboxPod::new("unknown", "0b1f6f3e-0000-4000-8000-000000000099");
    let refused = unknown.start(&node.isolated_host).unwrap_err();
    assert!(
        refused.contains("pod default/unknown has no manifest"),
        "{refused}"
    );
    assert_eq!(node.leased_addresses(), Vec::<String>::new());
}

#[test]
fn the_annotations_from_the_runtime_decide() {
    let node = Node::with(Some(&json!({
        "type": "mesh-cni",
        "pod_source": "runtime",
        "capabilities": {"io.kubernetes.cri.pod-annotations": true},
    })));
    let status = r#"{"initContainers":null,"containers":["istio-proxy"],"volumes":[]}"#;
    let settings = [
        ("traffic.sidecar.istio.io/excludeInboundPorts", "22,15020"),
        (
            "traffic.sidecar.istio.io/excludeOutboundIPRanges",
            "192.168.0.1/32",
        ),
        ("traffic.sidecar.istio.io/excludeOutboundPorts", "3306"),
    ];
    let meshed = SandboxPod::new("meshed", "m-1").annotated("sidecar.istio.io/status", status);
    let meshed = settings
        .iter()
        .fold(meshed, |pod, (key, value)| pod.annotated(key, value));
    let meshed = meshed.start(&node.isolated_host).unwrap();
    let settings = settings.map(|(key, value)| (key.to_owned(), value));
    let wanted = rules_with_annotations(&settings);
    assert_eq!(drift(&wanted, &node.live_rules(&meshed), &OWNERSHIP), None);
    let plain = SandboxPod::new("plain", "p-1")
        .start(&node.isolated_host)
        .unwrap();
    assert!(has_no_rules(&node, &plain));
    let log = fs::read_to_string(node.path("/run/mesh-cni/plugin.log")).unwrap();
    assert!(log.contains("[no-istio-proxy]"), "{log}");
    assert!(
        !Crio::log(node.state()).contains("Could not restore"),
        "{log}"
    );
}
