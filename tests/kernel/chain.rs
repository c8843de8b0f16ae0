//! A chain run by another project's CNI runtime: `cnitool` calls the reference plugins `bridge` and
//! `host-local`, then mesh-cni, and the pod works.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use mesh_cni_netns::NetNs;
use mesh_cni_tests::{Attachment, Finished, PodNet, Sender, cnitool_command, must, run};
use serde_json::{Value, json};

/// A node's namespace, a pod's, and a network configuration list.
struct Node {
    attachment: Attachment,
    net: PodNet,
}

impl Node {
    fn new() -> Self {
        let node = Self {
            attachment: Attachment::new("auto"),
            // The chain alone connects the two namespaces.
            net: PodNet {
                pod: NetNs::scratch().expect("this test needs root: run `make test`"),
                peer: NetNs::scratch().expect("this test needs root: run `make test`"),
            },
        };
        must(&node.net.peer, "ip link set lo up");
        let subnet = json!([[{"subnet": "10.98.0.0/24"}]]);
        let ipam = json!({
            "type": "host-local",
            "dataDir": node.attachment.path().join("addresses"),
            "ranges": subnet,
            "routes": [{"dst": "0.0.0.0/0"}]
        });
        let bridge = json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam});
        let list = json!({
            "cniVersion": "1.0.0",
            "name": "pod-network",
            "plugins": [bridge, node.attachment.entry()]
        });
        let lists = node.attachment.path().join("net.d");
        fs::create_dir(&lists).unwrap();
        fs::write(lists.join("10-pod-network.conflist"), list.to_string()).unwrap();
        node
    }

    /// Runs `cnitool` in the node's namespace.
    fn cnitool(&self, command: &str) -> Finished {
        let mut command = cnitool_command(&self.attachment.path(), command, self.net.pod.path());
        command.env("CNI_ARGS", Attachment::args());
        run(&self.net.peer, &mut command, "")
    }
}

#[test]
fn cnitool_sets_up_a_working_pod_checks_it_and_takes_it_down() {
    let node = Node::new();
    let added = node.cnitool("add");
    assert_eq!(added.code, 0, "{}{}", added.stdout, added.stderr);
    let result: Value = serde_json::from_str(&added.stdout).unwrap();
    let address = result["ips"][0]["address"].as_str().unwrap();
    let address: Ipv4Addr = address.split('/').next().unwrap().parse().unwrap();
    assert_eq!(
        result["interfaces"].as_array().unwrap().len(),
        3,
        "bridge's own result: {result}"
    );

    must(&node.net.pod, "ip link set lo up");
    node.net.listen(&[15001, 15006, 15021], &[9080]);
    let gateway: IpAddr = result["ips"][0]["gateway"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let IpAddr::V4(gateway) = gateway else {
        panic!("the range is IPv4")
    };
    let arrives = |from, sender, to| {
        let arrival = node
            .net
            .connect(from, sender, to)
            .expect("the connection is answered");
        (arrival.side, arrival.port, arrival.original.to_string())
    };
    let (node_side, pod_side) = (&node.net.peer, &node.net.pod);
    assert_eq!(
        arrives(node_side, Sender::APP, (address, 9080)),
        ("pod".to_owned(), 15006, format!("{address}:9080"))
    );
    assert_eq!(
        arrives(pod_side, Sender::APP, (gateway, 9080)),
        ("pod".to_owned(), 15001, format!("{gateway}:9080"))
    );
    assert_eq!(
        arrives(pod_side, Sender::PROXY, (gateway, 9080)),
        ("peer".to_owned(), 9080, format!("{gateway}:9080"))
    );

    let checked = node.cnitool("check");
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    must(&node.net.pod, "iptables-nft -t nat -F ISTIO_OUTPUT");
    let checked = node.cnitool("check");
    assert_ne!(checked.code, 0);
    assert!(
        checked
            .stderr
            .contains("chain ISTIO_OUTPUT: rule 1 is missing"),
        "{}",
        checked.stderr
    );

    let deleted = node.cnitool("del");
    assert_eq!(deleted.code, 0, "{}{}", deleted.stdout, deleted.stderr);
    let addresses = fs::read_dir(node.attachment.path().join("addresses/pod-network")).unwrap();
    let names = addresses.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        names.filter(|name| name.starts_with("10.98.")).count(),
        0,
        "the address is free"
    );
}

#[test]
fn a_chain_with_the_plugin_twice_gives_the_same_rules() {
    let rules = |entries: usize| {
        let node = Node::new();
        let list = node.attachment.path().join("net.d/10-pod-network.conflist");
        let mut text: Value = serde_json::from_str(&fs::read_to_string(&list).unwrap()).unwrap();
        let plugins = text["plugins"].as_array_mut().unwrap();
        plugins.extend(vec![plugins[1].clone(); entries - 1]);
        fs::write(&list, text.to_string()).unwrap();
        for command in ["add", "check"] {
            let called = node.cnitool(command);
            assert_eq!(called.code, 0, "{}{}", called.stdout, called.stderr);
        }
        let rules = must(&node.net.pod, "iptables-nft -t nat -S");
        let deleted = node.cnitool("del");
        assert_eq!(deleted.code, 0, "{}{}", deleted.stdout, deleted.stderr);
        rules
    };
    let once = rules(1);
    assert!(once.contains("ISTIO_OUTPUT"), "{once}");
    assert_eq!(rules(2), once);
}

#[test]
fn an_error_of_the_plugin_reaches_the_runtime_with_its_remedy() {
    let node = Node::new();
    let pods = node.attachment.path().join("pods");
    fs::remove_dir_all(&pods).unwrap();
    fs::create_dir(&pods).unwrap();
    let added = node.cnitool("add");
    assert_ne!(added.code, 0);
    let said = added.stdout + &added.stderr;
    assert!(
        said.contains("pod default/productpage-v1-7d4c9b5f6d-x2k8q has no manifest"),
        "{said}"
    );
    assert!(said.contains("kubectl get pod NAME -o yaml"), "{said}");
    assert_eq!(must(&node.net.pod, "nft list ruleset"), "");
    assert_eq!(node.cnitool("del").code, 0);
}
