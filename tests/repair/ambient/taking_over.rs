//! Pods that Istio CNI has enrolled.

use std::process::Command;

use mesh_cni_netfilter::render;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_rules::ambient::{Interception, compile};
use mesh_cni_tests::run;

use super::starting::{connect_pods, own_addresses};
use super::*;

/// Istio CNI leaves the annotation, rules of iptables, and a ztunnel that serves the pods.
#[test]
fn enrolled_pods_are_taken_over_without_a_restart() {
    on_own_node(|node| {
        node.start_ztunnel(true);
        node.start_agent();
        let [cart, web] = ["cart", "web"].map(|name| node.start_pod(name, AMBIENT));
        for pod in [&cart, &web] {
            node.report(pod);
        }
        node.agent = None;
        fs::remove_dir_all(node.directory.path().join("run")).unwrap();
        let own = NetNs::current().unwrap();
        for family in ["ip", "ip6"] {
            must(&own, &format!("nft delete table {family} mesh-cni-probes"));
        }
        for pod in [&cart, &web] {
            let netns = &pod.sandbox.netns;
            must(netns, "nft flush ruleset");
            for (family, program) in Family::ALL
                .into_iter()
                .zip(["iptables-nft-restore", "ip6tables-nft-restore"])
            {
                let rules = render::restore(&compile(&Interception::default(), family));
                let restored = run(netns, Command::new(program).arg("--noflush"), &rules);
                assert_eq!(restored.code, 0, "{}", restored.stderr);
            }
        }
        assert_eq!(connect_pods(&cart, &web), own_addresses(&cart));
        let listeners = [&cart, &web].map(|pod| ztunnel_listeners(&pod.sandbox.netns));
        node.start_agent();
        node.eventually("the pods are not taken over", |_| Node::probed().len() == 4);
        for (pod, kept) in [&cart, &web].into_iter().zip(listeners) {
            node.wait_until_enrolled(&pod.sandbox, pod.name);
            assert_eq!(ztunnel_listeners(&pod.sandbox.netns), kept, "{}", pod.name);
        }
        let log = node.agent.as_ref().unwrap().client().log();
        assert!(!log.contains("the rules differ"), "{log}");
        assert_eq!(connect_pods(&cart, &web), own_addresses(&cart));
        assert_eq!(connect_pods(&web, &cart), own_addresses(&web));
    });
}
