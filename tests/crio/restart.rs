//! A restart of CRI-O, which calls CHECK for every sandbox to restore its address.

use std::fs;
use std::net::TcpListener;

use mesh_cni_tests::{Crio, SandboxPod, must};

use crate::node::{Node, address, difference, with_manifest};

/// Starts CRI-O again.
fn restart(node: &mut Node) {
    let state = node.state().to_owned();
    node.runtime.restart(&node.isolated_host, &state);
}

#[test]
fn a_healthy_pod_keeps_its_address_without_a_source_of_facts() {
    let mut node = Node::start();
    let pod = with_manifest(&node, "cart");
    let sandbox = pod.start(&node.isolated_host).unwrap();
    let before = address(&node, &sandbox);
    assert_ne!(before, "");

    restart(&mut node);
    assert_eq!(address(&node, &sandbox), before, "the manifest is there");

    fs::remove_dir_all(node.path("/etc/mesh-cni/pods")).unwrap();
    restart(&mut node);
    assert_eq!(address(&node, &sandbox), before, "the manifest is gone");
    assert_eq!(difference(&node, &sandbox), None);
    let log = fs::read_to_string(node.path("/run/mesh-cni/plugin.log")).unwrap();
    assert!(
        log.contains("the rules are complete, but were not compared"),
        "{log}"
    );

    // Drift is still reported.
    let netns = SandboxPod::netns(&node.isolated_host, &sandbox);
    must(&netns, "iptables-nft -t nat -F ISTIO_REDIRECT");
    restart(&mut node);
    assert_eq!(address(&node, &sandbox), "");
    let log = Crio::log(node.state());
    assert!(log.contains("the live rules are incomplete"), "{log}");
    SandboxPod::end(&node.isolated_host, &sandbox);
    assert_eq!(node.leased_addresses(), Vec::<String>::new());
}

#[test]
fn a_pod_without_a_proxy_keeps_its_address_and_one_that_lost_its_rules_does_not() {
    let mut node = Node::start();
    let plain = with_manifest(&node, "plain");
    let manifest = node.path("/etc/mesh-cni/pods/default_plain.yaml");
    let unmeshed = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, unmeshed.replace("istio-proxy", "assistant")).unwrap();
    let lost = with_manifest(&node, "lost");
    let [plain, lost] = [plain, lost].map(|pod| {
        let sandbox = pod.start(&node.isolated_host).unwrap();
        pod.start_container(&node.isolated_host, &sandbox);
        sandbox
    });
    let before = address(&node, &plain);
    assert_ne!(before, "");
    let netns = SandboxPod::netns(&node.isolated_host, &lost);
    must(&netns, "nft flush ruleset");
    let _proxy = netns
        .run(|| TcpListener::bind("0.0.0.0:15006"))
        .unwrap()
        .unwrap();

    fs::remove_dir_all(node.path("/etc/mesh-cni/pods")).unwrap();
    restart(&mut node);
    assert_eq!(address(&node, &plain), before);
    assert_eq!(address(&node, &lost), "");
    let log = fs::read_to_string(node.path("/run/mesh-cni/plugin.log")).unwrap();
    assert!(
        log.contains("the pod has no rules and runs no proxy"),
        "{log}"
    );
}
