//! The rules of ambient mode: the listings of Istio's agent, and the packets of the contract.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mesh_cni_netfilter::ruleset::{ChainName, Family, Match, Rule, RuleSet, Sense, Target};
use mesh_cni_netfilter::value::InterfaceName;
use mesh_cni_netfilter::walk::walk_in;
use mesh_cni_netfilter::{
    Listing, Packet, TableName, drift, only_ours, parse, render, transaction,
};
use mesh_cni_rules::ambient::{
    EarlierConnections, Interception, OWNERSHIP, PORT_NAMES, ROUTING, Settings, compile, is_ambient,
};
use mesh_cni_rules::chains::PREROUTING;
use mesh_cni_rules::istio;

use crate::support::{annotations, as_saved, asm, assert_snapshot, productpage};
use crate::walk::host;

fn resolved(pairs: &[(&str, &str)]) -> Interception {
    let annotations = annotations(pairs);
    let settings = Settings {
        annotations: Some(&annotations),
        ..Settings::default()
    };
    settings.resolve().expect("the annotations parse")
}

fn restore(interception: &Interception, family: Family) -> String {
    render::restore(&compile(interception, family))
}

#[test]
fn the_rules_are_those_of_istios_agent() {
    let default = Interception::default();
    assert_snapshot!(
        "ambient.v4.restore",
        "the listing of the contract, with DNS capture: nat OUTPUT before PREROUTING; the probe's source is \
         accepted first; port 15008 stays; ztunnel's mark is in each redirect",
        restore(&default, Family::V4)
    );
    assert_snapshot!(
        "ambient.v6.restore",
        "as for IPv4, with ::1/128 and the probe's IPv6 source",
        restore(&default, Family::V6)
    );
    let rules = compile(&default, Family::V4);
    assert_snapshot!(
        "ambient.v4.list",
        "CONNMARK set 0x111/0xfff in mangle; marks and masks in nat",
        [TableName::Mangle, TableName::Nat, TableName::Raw]
            .map(|table| Listing::of(&rules, table, OWNERSHIP).to_string())
            .join("\n")
    );
}

#[test]
fn json_has_the_mask_of_routing_and_connection_mark() {
    let json = render::json(&[compile(&Interception::default(), Family::V4)]);
    let json: String = json.split_whitespace().collect();
    for part in [
        r#""routing":{"mark":273,"mask":4095,"table":100,"priority":32764}"#,
        r#""target":{"set_connmark":{"value":273,"mask":4095}}"#,
    ] {
        assert!(json.contains(part), "{part}");
    }
}

#[test]
fn each_setting_changes_its_rules() {
    assert_snapshot!(
        "ambient-no-dns.v4.restore",
        "no table raw, and nothing about port 53",
        restore(
            &resolved(&[("ambient.istio.io/dns-capture", "f")]),
            Family::V4
        )
    );
    assert_snapshot!(
        "ambient-bypass.v4.restore",
        "nat ISTIO_PRERT exists and is empty; mangle still marks connections",
        restore(
            &resolved(&[("ambient.istio.io/bypass-inbound-capture", "true")]),
            Family::V4
        )
    );
    assert_snapshot!(
        "ambient-reroute.v6.restore",
        "REDIRECT to 15001 and RETURN for net1, then for k6t-eth0, before the other rules of ISTIO_PRERT",
        restore(
            &resolved(&[("istio.io/reroute-virtual-interfaces", "net1, k6t-eth0")]),
            Family::V6
        )
    );
    let keep = Interception {
        earlier_connections: EarlierConnections::Keep,
        ..Interception::default()
    };
    assert_snapshot!(
        "ambient-keep.v4.restore",
        "both chains of nat accept TCP packets that open no connection before anything else",
        restore(&keep, Family::V4)
    );
}

#[test]
fn an_annotation_overrides_what_the_cluster_configures() {
    let with = |dns, value| {
        let annotations = annotations(&[("ambient.istio.io/dns-capture", value)]);
        let settings = Settings {
            annotations: Some(&annotations),
            dns,
            ..Settings::default()
        };
        settings.resolve().expect("a boolean").dns
    };
    assert!(with(false, "1") && !with(true, "F"));
    let off = Settings {
        dns: false,
        ..Settings::default()
    };
    assert!(!off.resolve().expect("nothing to parse").dns);
}

#[test]
fn an_invalid_annotation_is_refused() {
    let many = (0..257).map(|number| format!("net{number}"));
    let many = many.collect::<Vec<_>>().join(",");
    let refused = [
        ("ambient.istio.io/dns-capture", "yes"),
        ("ambient.istio.io/bypass-inbound-capture", ""),
        ("istio.io/reroute-virtual-interfaces", "net1,,net2"),
        ("istio.io/reroute-virtual-interfaces", &many),
    ]
    .map(|pair| {
        let annotations = annotations(&[pair]);
        let settings = Settings {
            annotations: Some(&annotations),
            ..Settings::default()
        };
        let error = settings.resolve().expect_err("not valid");
        format!("{error}: {}\n", error.problem)
    });
    assert_snapshot!(
        "ambient-refusals",
        "Istio's agent ignores what is not a boolean; here the pod is refused",
        refused.concat()
    );
}

/// What a program saves is the same rule set.
#[test]
fn saved_rules_are_read_as_they_were_written() {
    let settings: [&[(&str, &str)]; 3] = [
        &[],
        &[("ambient.istio.io/bypass-inbound-capture", "true")],
        &[("istio.io/reroute-virtual-interfaces", "net1")],
    ];
    for pairs in settings {
        for family in Family::ALL {
            let rules = compile(&resolved(pairs), family);
            let mut found = parse::save(&as_saved(&render::restore(&rules)), family).unwrap();
            found.routing = Some(ROUTING);
            assert_eq!(drift(&rules, &found, OWNERSHIP), None, "{pairs:?}");
            assert_eq!(transaction::replace(&rules, &found, OWNERSHIP), "");
            assert_eq!(only_ours(&found, OWNERSHIP).routing, Some(ROUTING));
        }
    }
}

#[test]
fn a_pod_that_changes_its_mode_gets_the_other_rules() {
    let ambient = compile(&Interception::default(), Family::V4);
    let sidecar = asm(&productpage());
    assert!(is_ambient(&ambient) && !is_ambient(&sidecar));
    for (wanted, found) in [(&ambient, &sidecar), (&sidecar, &ambient)] {
        assert!(drift(wanted, found, OWNERSHIP).is_some());
        assert_eq!(only_ours(found, &istio::OWNERSHIP), *found);
    }
    assert_snapshot!(
        "ambient-to-sidecar.replace",
        "the three chains of ambient mode that a sidecar does not have are deleted with their jumps, and nat \
         ISTIO_OUTPUT gets other rules",
        transaction::replace(&sidecar, &ambient, OWNERSHIP)
    );
}

/// A rule of another program in the same chains of the kernel stays.
#[test]
fn rules_of_others_are_not_ours() {
    let mut found = compile(&Interception::default(), Family::V4);
    let ours = found.clone();
    let foreign = ChainName::new("MY_OWN").unwrap();
    let eth0: InterfaceName = "eth0".parse().unwrap();
    let to_foreign = Rule::new(
        [Match::InInterface(Sense::Is, eth0)],
        Target::Jump(foreign.clone()),
    );
    found.append(TableName::Nat, PREROUTING, to_foreign);
    found.append(TableName::Nat, foreign, Rule::new([], Target::Return));
    assert_eq!(only_ours(&found, OWNERSHIP), ours);
    assert_eq!(drift(&ours, &found, OWNERSHIP), None);
}

/// What happens, and its packet.
const ROWS: [(&str, &str); 14] = [
    (
        "the application opens a connection",
        "out tcp OTHER:80 uid 1000",
    ),
    (
        "ztunnel opens one to another ztunnel",
        "out tcp OTHER:15008 uid 0 mark 0x539",
    ),
    ("another ztunnel connects", "in tcp POD:15008 from OTHER"),
    ("a plaintext connection arrives", "in tcp POD:80 from OTHER"),
    ("the node probes the pod", "in tcp POD:80 from PROBE"),
    (
        "the pod answers the probe",
        "out tcp PROBE:40000 state established reply",
    ),
    (
        "ztunnel connects to the application",
        "in tcp POD:80 from OTHER iface lo mark 0x539",
    ),
    (
        "the application answers",
        "out tcp OTHER:40000 connmark 0x111 state established reply",
    ),
    (
        "the application connects to its own pod",
        "out tcp POD:80 uid 1000",
    ),
    (
        "the application connects to itself",
        "out tcp LOOPBACK:80 uid 1000",
    ),
    ("a DNS query by UDP", "out udp OTHER:53 uid 1000"),
    ("a DNS query by TCP", "out tcp OTHER:53 uid 1000"),
    ("ztunnel's own query", "out udp OTHER:53 uid 0 mark 0x539"),
    ("UDP that is not DNS", "out udp OTHER:443 uid 1000"),
];

#[test]
fn each_packet_goes_where_the_contract_says() {
    let families: [(Family, BTreeMap<_, _>); 2] = [
        (
            Family::V4,
            BTreeMap::from([
                ("POD", "10.244.1.17"),
                ("OTHER", "10.0.0.7"),
                ("PROBE", "169.254.7.127"),
                ("LOOPBACK", "127.0.0.1"),
            ]),
        ),
        (
            Family::V6,
            BTreeMap::from([
                ("POD", "[fd00::17]"),
                ("OTHER", "[fd00::7]"),
                ("PROBE", "[fd16:9254:7127:1337:ffff:ffff:ffff:ffff]"),
                ("LOOPBACK", "[::1]"),
            ]),
        ),
    ];
    let mut text = String::new();
    for (family, addresses) in families {
        let rules = compile(&Interception::default(), family);
        for (what, row) in ROWS {
            let row = addresses
                .iter()
                .fold(row.to_owned(), |row, (name, address)| {
                    // A source has no port, so its address needs no brackets.
                    let bare = address.trim_matches(['[', ']']);
                    row.replace(&format!("from {name}"), &format!("from {bare}"))
                        .replace(name, address)
                });
            let packet: Packet = row.parse().unwrap();
            let walk = walk_in(&rules, &packet, &host());
            let outcome = walk.outcome.display(PORT_NAMES);
            writeln!(
                text,
                "{what}\n  {row}\n  {outcome}, mark {:#x}, connection mark {:#x}, zone {}",
                walk.mark, walk.connmark, walk.zone
            )
            .unwrap();
        }
    }
    assert_snapshot!(
        "ambient.walk",
        "both families alike: the application's connections go to 15001, plaintext to 15006, queries to 15053; \
         ztunnel's packets, probes and port 15008 are not redirected; answers to ztunnel's connections are delivered \
         locally; ztunnel's query is in zone 1",
        text
    );
}

#[test]
fn only_pods_with_an_ipv6_address_get_ipv6_rules() {
    let families = |addresses: &[&str]| {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Interception::default().families(&addresses)
    };
    assert_eq!(families(&["10.0.0.1"]), [Family::V4]);
    assert_eq!(families(&["10.0.0.1", "fe80::1"]), [Family::V4]);
    assert_eq!(families(&["10.0.0.1", "fd00::1"]), Family::ALL);
    assert_eq!(families(&["fd00::1"]), Family::ALL);
}

#[test]
fn an_empty_rule_set_is_not_ambient() {
    assert!(!is_ambient(&RuleSet::new(Family::V4)));
}
