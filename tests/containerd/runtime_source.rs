//! Pod source `runtime`: containerd passes a pod's annotations to the plugin.

use std::fs;

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{SandboxPod, rules_with_annotations};
use serde_json::json;

use crate::node::Node;

/// The status annotation of the sidecar injector.
const STATUS: (&str, &str) = (
    "sidecar.istio.io/status",
    r#"{"initContainers":null,"containers":["istio-proxy"],"volumes":[],"revision":"default"}"#,
);

/// The documented pod's settings.
const SETTINGS: &[(&str, &str)] = &[
    ("traffic.sidecar.istio.io/excludeInboundPorts", "22,15020"),
    (
        "traffic.sidecar.istio.io/excludeOutboundIPRanges",
        "192.168.0.1/32",
    ),
];

#[test]
fn the_annotations_from_the_runtime_decide() {
    let node = Node::with(Some(&json!({
        "type": "mesh-cni",
        "pod_source": "runtime",
        "capabilities": {"io.kubernetes.cri.pod-annotations": true},
    })));
    let excluded = ("traffic.sidecar.istio.io/excludeOutboundPorts", "3306");
    let started =
        |name: &str, annotations: &[_]| annotated(name, annotations).start(&node.isolated_host);

    let meshed = documented("meshed").annotated(excluded.0, excluded.1);
    let meshed = meshed.start(&node.isolated_host).unwrap();
    let wanted = rules_with_annotations(&[(excluded.0.to_owned(), excluded.1)]);
    assert_eq!(drift(&wanted, &node.live_rules(&meshed), &OWNERSHIP), None);

    for (name, annotations) in [
        ("plain", &[][..]),
        ("settings-alone", SETTINGS),
        ("opted-out", &[STATUS, ("sidecar.istio.io/inject", "false")]),
    ] {
        let sandbox = started(name, annotations).unwrap();
        assert_eq!(node.live_rules(&sandbox).tables.len(), 0, "{name}");
    }
    let refused = started("odd", &[STATUS, (excluded.0, "330G")]).unwrap_err();
    assert!(refused.contains("330G"), "{refused}");

    let log = fs::read_to_string(node.path("/run/mesh-cni/plugin.log")).unwrap();
    let said: String = log
        .lines()
        .filter(|line| !line.contains("back ends:"))
        .map(without_time_and_sandbox)
        .collect();
    insta::assert_snapshot!(said, @"
    INFO ADD pod=default/meshed: redirected: sidecar, 21 IPv4 rules created by netlink
    INFO ADD pod=default/plain: passed through: none of the pod's containers is named `istio-proxy`: `(application)` [no-istio-proxy]
    INFO ADD pod=default/settings-alone: passed through: none of the pod's containers is named `istio-proxy`: `(application)` [no-istio-proxy]
    INFO ADD pod=default/opted-out: passed through: the pod's annotation `sidecar.istio.io/inject` is `false` [injection-disabled]
    ERROR ADD pod=default/odd: pod default/odd: annotation traffic.sidecar.istio.io/excludeOutboundPorts = `330G`: `330G` at position 1 is not a port: allowed are whole numbers from 1 to 65535 (fix the value in the pod's template, or in `defaults` of the plugin's entry; `mesh-cnictl render --pod FILE` checks it without a cluster)
    ");
}

/// A pod with the documented pod's annotations.
pub(crate) fn documented(name: &str) -> SandboxPod {
    annotated(name, &[&[STATUS], SETTINGS].concat())
}

fn annotated(name: &str, annotations: &[(&str, &str)]) -> SandboxPod {
    let pod = SandboxPod::new(name, &format!("uid-of-{name}"));
    let annotations = annotations.iter();
    annotations.fold(pod, |pod, (key, value)| pod.annotated(key, value))
}

/// A line of the plugin's log without what differs from run to run.
fn without_time_and_sandbox(line: &str) -> String {
    let (_, line) = line.split_once(' ').unwrap();
    let (subject, message) = line.split_once(": ").unwrap();
    let subject = subject.split(' ').filter(|word| {
        !["container=", "netns="]
            .iter()
            .any(|name| word.starts_with(name))
    });
    subject.collect::<Vec<_>>().join(" ") + ": " + message + "\n"
}
