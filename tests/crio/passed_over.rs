//! CRI-O does not take the first file: its plugin is missing or too old, or another network is the
//! default. The installation names the sign.

use std::fs;

use mesh_cni_tests::SandboxPod;
use serde_json::{Value, json};

use crate::node::{LIST, Node, agent, has_no_rules, reloaded, with_manifest};

const FIRST: &str = "/etc/cni/net.d/05-first.conflist";
const INSTALL: [&str; 5] = [
    "install",
    "--pod-source",
    "file",
    "--pod-dir",
    "/etc/mesh-cni/pods",
];

/// A node whose first file is a bridge network with that change.
fn with_first(change: impl FnOnce(&mut Value)) -> Node {
    let mut node = Node::with(None);
    let mut list: Value = fs::read_to_string(node.path(LIST))
        .unwrap()
        .parse()
        .unwrap();
    list["name"] = json!("first");
    change(&mut list);
    reloaded(&mut node, |node| {
        fs::write(node.path(FIRST), list.to_string()).unwrap();
    });
    node
}

fn start_one(node: &Node) {
    let sandbox = with_manifest(node, "cart")
        .start(&node.isolated_host)
        .unwrap();
    assert!(has_no_rules(node, &sandbox), "CRI-O uses the other network");
    SandboxPod::end(&node.isolated_host, &sandbox);
}

#[test]
fn a_missing_plugin_is_named_before_a_pod_starts() {
    let mut node = with_first(|list| list["plugins"][0]["type"] = json!("calico-gone"));
    let installed = reloaded(&mut node, |node| agent(node, &INSTALL));
    assert_eq!(installed.code, 0, "{}", installed.stderr);
    let warning = "warning: plugin `calico-gone` of /etc/cni/net.d/05-first.conflist is not in \
                   /opt/cni/bin";
    assert!(installed.stdout.contains(warning), "{}", installed.stdout);
    start_one(&node);
}

#[test]
fn the_network_of_the_newest_pod_shows_which_file_is_used() {
    let default = "[crio.network]\ncni_default_network = \"pod-network\"\n";
    // The reference plugins of the distribution support CNI 1.0.
    let too_old = with_first(|list| list["cniVersion"] = json!("1.1.0"));
    let mut other_default = with_first(|_| ());
    fs::write(
        other_default.path("/etc/crio.conf.d/10-network.conf"),
        default,
    )
    .unwrap();
    let state = other_default.state().to_owned();
    other_default
        .runtime
        .restart(&other_default.isolated_host, &state);
    for mut node in [too_old, other_default] {
        let installed = reloaded(&mut node, |node| agent(node, &INSTALL));
        assert_eq!(installed.code, 0, "{}", installed.stderr);
        let pod = with_manifest(&node, "cart");
        let sandbox = pod.start(&node.isolated_host).unwrap();
        assert!(
            has_no_rules(&node, &sandbox),
            "CRI-O uses the other network"
        );
        let status = agent(&node, &["status"]);
        assert_eq!(status.code, 1, "{}", status.stdout);
        let sign = "the runtime attached the newest pod to network `pod-network`, not to `first` \
                    of /etc/cni/net.d/05-first.conflist";
        assert!(status.stdout.contains(sign), "{}", status.stdout);
        SandboxPod::end(&node.isolated_host, &sandbox);

        let named = [
            &INSTALL[..],
            &["--cni-conf-name", "10-pod-network.conflist"],
        ]
        .concat();
        let installed = reloaded(&mut node, |node| agent(node, &named));
        assert_eq!(installed.code, 0, "{}", installed.stderr);
        let sandbox = pod.start(&node.isolated_host).unwrap();
        assert!(
            !has_no_rules(&node, &sandbox),
            "following the remedy redirects pods"
        );
        SandboxPod::end(&node.isolated_host, &sandbox);
    }
}
