//! Probes of the node get a source address, and forwarded connections keep theirs.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use mesh_cni_netns::{
    NetNs, OwnedAddress, SourceTable, add_source_addresses, ensure_source_table,
    remove_source_addresses, remove_source_table, source_addresses,
};

use crate::support::{must, scratch};

const PORT: u16 = 8080;

/// A node that forwards between a pod and a client.
struct Lab {
    node: NetNs,
    pod: NetNs,
    client: NetNs,
}

/// The prefixes of the networks of pod and client: the node is `1`, the other `2`.
const POD: [&str; 2] = ["10.88.0.", "fd88::"];
const CLIENT: [&str; 2] = ["10.89.0.", "fd89::"];

impl Lab {
    fn new() -> Self {
        let [node, pod, client] = [scratch(), scratch(), scratch()];
        let ip = |netns: &NetNs, arguments: &str| {
            let arguments: Vec<_> = arguments.split(' ').collect();
            must(netns, "ip", &arguments, "");
        };
        ip(&node, "link set lo up");
        for (name, netns, prefixes) in [("pod", &pod, POD), ("client", &client, CLIENT)] {
            let other = netns.path().display();
            ip(
                &node,
                &format!("link add {name} type veth peer name eth0 netns {other}"),
            );
            for (prefix, length) in prefixes.into_iter().zip([24, 64]) {
                ip(
                    &node,
                    &format!("address add {prefix}1/{length} dev {name}{}", nodad(prefix)),
                );
                ip(
                    netns,
                    &format!("address add {prefix}2/{length} dev eth0{}", nodad(prefix)),
                );
            }
            ip(&node, &format!("link set {name} up"));
            ip(netns, "link set lo up");
            ip(netns, "link set eth0 up");
            ip(netns, &format!("route add default via {}1", prefixes[0]));
            ip(netns, &format!("-6 route add default via {}1", prefixes[1]));
        }
        let settings = "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1";
        must(
            &node,
            "sysctl",
            &[&["-q", "-w"][..], &settings.split(' ').collect::<Vec<_>>()].concat(),
            "",
        );
        listen(&pod);
        Self { node, pod, client }
    }
}

/// The address that the pod sees of a connection to it.
fn seen_from(from: &NetNs, prefix: &str) -> IpAddr {
    let to = SocketAddr::new(format!("{prefix}2").parse().unwrap(), PORT);
    let connect = || {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(10)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut seen = String::new();
        stream.read_to_string(&mut seen).unwrap();
        seen.parse().unwrap()
    };
    from.run(connect).unwrap()
}

fn nodad(prefix: &str) -> &'static str {
    if prefix.contains(':') { " nodad" } else { "" }
}

/// Writes to each connection of the pod its source.
fn listen(pod: &NetNs) {
    let listener = pod
        .run(|| TcpListener::bind(("::", PORT)))
        .unwrap()
        .unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::Write as _;
            let source = stream
                .peer_addr()
                .map(|address| address.ip().to_canonical());
            drop(source.and_then(|source| write!(&stream, "{source}")));
        }
    });
}

fn tables() -> [SourceTable; 2] {
    ["169.254.7.127", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"]
        .map(|source| SourceTable::new("mesh-cni-probes", "pods", source.parse().unwrap()))
}

fn pod_addresses(owner: &str) -> Vec<OwnedAddress> {
    POD.map(|prefix| OwnedAddress {
        address: format!("{prefix}2").parse().unwrap(),
        owner: owner.to_owned(),
    })
    .into()
}

#[test]
fn only_connections_of_processes_of_the_node_get_the_source() {
    let lab = Lab::new();
    // The usual masquerading of a pod network: the node's own address would replace the source.
    must(
        &lab.node,
        "nft",
        &["-f", "-"],
        "table inet others { chain p { type nat hook postrouting priority srcnat; oifname pod masquerade; }; }",
    );
    for table in tables() {
        lab.node
            .run(|| ensure_source_table(&table))
            .unwrap()
            .unwrap();
    }
    let prefixes = POD.into_iter().zip(CLIENT).zip(tables());
    for ((pod, _), _) in prefixes.clone() {
        let node: IpAddr = format!("{pod}1").parse().unwrap();
        assert_eq!(
            seen_from(&lab.node, pod),
            node,
            "before the pod is in the set"
        );
    }
    for ((pod, _), table) in prefixes {
        let add = || add_source_addresses(&table, &pod_addresses("uid-1"));
        lab.node.run(add).unwrap().unwrap();
        assert_eq!(seen_from(&lab.node, pod), table.source);
        let node: IpAddr = format!("{pod}1").parse().unwrap();
        assert_eq!(
            seen_from(&lab.client, pod),
            node,
            "masqueraded by the other table"
        );
    }
    must(&lab.node, "nft", &["delete", "table", "inet", "others"], "");
    for (pod, client) in POD.into_iter().zip(CLIENT) {
        let client: IpAddr = format!("{client}2").parse().unwrap();
        assert_eq!(seen_from(&lab.client, pod), client, "forwarded");
    }
    assert_eq!(
        seen_from(&lab.pod, POD[0]),
        "10.88.0.2".parse::<IpAddr>().unwrap()
    );
}

#[test]
fn nft_lists_the_table_and_a_changed_one_is_replaced() {
    let netns = scratch();
    let [table, _] = tables();
    let list = || {
        must(
            &netns,
            "nft",
            &["-s", "list", "table", "ip", "mesh-cni-probes"],
            "",
        )
    };
    let ensure = || netns.run(|| ensure_source_table(&table)).unwrap().unwrap();
    assert!(ensure());
    netns
        .run(|| add_source_addresses(&table, &pod_addresses("uid-1")))
        .unwrap()
        .unwrap();
    let listed = list();
    insta::assert_snapshot!(listed, @r#"
    table ip mesh-cni-probes {
    	set pods {
    		type ipv4_addr
    		elements = { 10.88.0.2 comment "uid-1" }
    	}

    	chain postrouting {
    		type nat hook postrouting priority srcnat - 1; policy accept;
    		meta l4proto tcp meta skuid >= 0 ip daddr @pods counter snat to 169.254.7.127
    	}
    }
    "#);
    assert!(!ensure());
    for change in [
        "flush chain ip mesh-cni-probes postrouting",
        "add rule ip mesh-cni-probes postrouting counter",
        "delete table ip mesh-cni-probes; add table ip mesh-cni-probes",
    ] {
        must(&netns, "nft", &["-f", "-"], change);
        assert!(ensure(), "{change}");
        if !change.starts_with("delete") {
            assert_eq!(list(), listed, "{change}");
        }
    }
    for exists in [true, false] {
        let removed = netns.run(|| remove_source_table(&table)).unwrap().unwrap();
        assert_eq!(removed, exists);
    }
    assert_eq!(must(&netns, "nft", &["list", "ruleset"], ""), "");
}

#[test]
fn an_address_is_removed_only_for_its_owner() {
    let netns = scratch();
    let [table, _] = tables();
    netns
        .run(|| {
            ensure_source_table(&table).unwrap();
            for owner in ["uid-1", "uid-2", "uid-2"] {
                add_source_addresses(&table, &pod_addresses(owner)).unwrap();
            }
            let owned = |owner: &'static str| move |found: &OwnedAddress| found.owner == owner;
            remove_source_addresses(&table, owned("uid-1")).unwrap();
            let found = source_addresses(&table).unwrap();
            assert_eq!(found, pod_addresses("uid-2")[..1]);
            remove_source_addresses(&table, owned("uid-2")).unwrap();
            remove_source_addresses(&table, owned("uid-2")).unwrap();
            assert_eq!(source_addresses(&table).unwrap(), []);
            let many: Vec<_> = (0..1000_u32)
                .map(|number| OwnedAddress {
                    address: std::net::Ipv4Addr::from(0x0a00_0000 + number).into(),
                    owner: format!("00000000-0000-0000-0000-{number:012}"),
                })
                .collect();
            add_source_addresses(&table, &many).unwrap();
            assert_eq!(source_addresses(&table).unwrap().len(), many.len());
        })
        .unwrap();
}
