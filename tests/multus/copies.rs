//! Multus's file contains a copy of the network's list, with or without our entry.

use std::fs;

use serde_json::json;

use crate::node::{MULTUS, Node, OWN};

const CHAIN_OWN: &str = "install --cni-conf-name 10-pod-network.conflist";

/// A network for a second interface.
fn second() -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0", "name": "second", "type": "bridge", "bridge": "second0",
        "ipam": {"type": "host-local", "subnet": "10.66.0.0/16"}
    })
}

/// The binary stays for Multus's file and for running pods, no address leaks, and new pods start.
#[test]
fn an_uninstallation_while_multus_has_a_copy_with_our_entry() {
    let node = Node::start();
    node.define("default", "second", Some(&second()));
    node.agent(CHAIN_OWN, 0);
    node.regenerate_multus();
    let status = node.agent("status", 0);
    let nested = "nested: /etc/cni/net.d/00-multus.conflist names mesh-cni at \
                  plugins[0].delegates[0].plugins[1]";
    assert!(
        status.contains("installed\n") && status.contains(nested),
        "{status}"
    );

    let running = node.start_pod("running", "default/second");
    let [four, six] = node.rules(&running);
    assert!(four > 10 && six == 0, "{four} {six}");
    assert_eq!(node.reported_interfaces(&running), ["eth0", "net1"]);
    assert_eq!(node.leases("pod-network").len(), 1);
    assert_eq!(node.leases("second").len(), 1);

    let report = node.agent("uninstall --grace 0", 0);
    assert!(report.contains("1 existing sandbox needs it"), "{report}");
    assert!(
        report.contains("00-multus.conflist names mesh-cni at"),
        "{report}"
    );
    assert!(
        !fs::read_to_string(node.conf(OWN))
            .unwrap()
            .contains("mesh-cni")
    );
    // A new pod calls the binary that was left, and starts without rules.
    let after = node.start_pod("after", "");
    assert_eq!(node.rules(&after), [0, 0]);
    node.end(&running);
    node.end(&after);
    assert_eq!(node.leases("pod-network"), Vec::<String>::new());
    assert_eq!(node.leases("second"), Vec::<String>::new());

    let report = node.agent("uninstall --grace 0", 0);
    assert!(!report.contains("existing sandbox"), "{report}");
    assert!(node.has_binary(), "Multus's file still names it");
    node.regenerate_multus();
    node.agent("uninstall --grace 0", 0);
    assert!(!node.has_binary());
    assert!(!node.path("/opt/cni/bin/mesh-cni.uninstalled").exists());
    let last = node.start_pod("last", "default/second");
    node.end(&last);
}

#[test]
fn multus_has_a_copy_without_our_entry_until_it_starts_again() {
    let node = Node::start();
    node.agent(CHAIN_OWN, 0);
    let stale = node.start_pod("stale", "");
    assert_eq!(node.rules(&stale), [0, 0]);
    for words in ["status", "status --cni-conf-name 10-pod-network.conflist"] {
        let status = node.agent(words, 1);
        let expected = "not redirecting: /etc/cni/net.d/00-multus.conflist has a copy of network \
                        `pod-network` without mesh-cni";
        assert!(status.contains(expected), "{status}");
    }
    // It can also read the list itself.
    node.write_multus(&json!({"clusterNetwork": "/etc/cni/net.d/10-pod-network.conflist"}));
    node.agent("status", 0);
    let read = node.start_pod("read", "");
    assert!(node.rules(&read)[0] > 10);
    node.regenerate_multus();
    node.agent("status", 0);
    let current = node.start_pod("current", "");
    assert!(node.rules(&current)[0] > 10);
}

/// The default: our entry is in the file that the runtime loads, which is Multus's.
#[test]
fn an_entry_after_multus_is_written_again_with_multus_s_file() {
    let node = Node::start();
    let original = fs::read(node.conf(MULTUS)).unwrap();
    node.agent("install", 0);
    node.wait_until_loaded();
    let chained = node.start_pod("chained", "");
    assert!(node.rules(&chained)[0] > 10);
    node.regenerate_multus();
    assert!(node.agent("status", 1).contains("has no mesh-cni entry"));
    // The running agent restores the entry.
    let agent = node.start_agent();
    node.wait_for_entry();
    node.regenerate_multus_unwatched();
    node.wait_for_entry();
    drop(agent);
    node.wait_until_loaded();
    let again = node.start_pod("again", "");
    assert!(node.rules(&again)[0] > 10);

    let report = node.agent("uninstall --grace 0", 0);
    assert!(report.contains("2 existing sandboxes need it"), "{report}");
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    let left = fs::read(node.conf(MULTUS)).unwrap();
    assert_eq!(value(&left), value(&original));
    node.end(&chained);
    node.end(&again);
    assert_eq!(node.leases("pod-network"), Vec::<String>::new());
    node.agent("uninstall --grace 0", 0);
    assert!(!node.has_binary());
}

#[test]
fn a_copy_of_ours_beside_multus() {
    let node = Node::start();
    let refused = node.agent("install --mode owned-first", 3);
    assert!(refused.contains("use --mode chained; or,"), "{refused}");
    // As the remedy says.
    let owned = "install --mode owned-first \
                 --owned-cni-config-filename 00-multus.conf-mesh-cni.conflist";
    node.agent(owned, 0);
    for _ in 0..2 {
        node.regenerate_multus();
        node.agent(owned, 0);
        assert_eq!(
            node.agent("status", 0).matches("not redirecting").count(),
            0
        );
    }
    node.agent("uninstall --grace 0", 0);

    // Our copy was there before Multus, which takes it for its default network.
    fs::remove_file(node.conf(MULTUS)).unwrap();
    node.agent("install --mode owned-first", 0);
    node.regenerate_multus();
    node.agent("install --mode owned-first", 0);
    node.agent("status", 0);
    let redirected = node.start_pod("redirected", "");
    assert!(node.rules(&redirected)[0] > 10);
    node.end(&redirected);
}
