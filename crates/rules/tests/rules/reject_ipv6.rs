//! Rules that refuse IPv6.

use mesh_cni_netfilter::ruleset::{Family, RejectWith};
use mesh_cni_netfilter::walk::{Outcome, walk_in};
use mesh_cni_netfilter::{Packet, drift, only_ours, parse, render};
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_rules::{redirects, reject_ipv6};

use crate::walk::host;

/// The rules in a namespace where another program has some in the same chains.
const SAVED: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:MESH_CNI_REJECT_IPV6 - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT ! -i lo -j MESH_CNI_REJECT_IPV6
-A OUTPUT ! -o lo -j MESH_CNI_REJECT_IPV6
-A OUTPUT -j REJECT --reject-with icmp6-port-unreachable
-A MESH_CNI_REJECT_IPV6 -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN
-A MESH_CNI_REJECT_IPV6 -p tcp -j REJECT --reject-with tcp-reset
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 1 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 3 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 4 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 130 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 131 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 132 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 133 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 134 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 137 -j RETURN
-A MESH_CNI_REJECT_IPV6 -p ipv6-icmp -m icmp6 --icmpv6-type 143 -j RETURN
-A MESH_CNI_REJECT_IPV6 -j REJECT --reject-with icmp6-adm-prohibited
COMMIT
";

#[test]
fn the_saved_rules_are_parsed_and_foreign_ones_are_not_ours() {
    let found = parse::save(SAVED, Family::V6).unwrap();
    let wanted = reject_ipv6();
    assert_eq!(drift(&wanted, &found, &OWNERSHIP), None);
    let ours = only_ours(&found, &OWNERSHIP);
    assert_eq!(ours.rule_count(), wanted.rule_count());
    assert!(!redirects(&ours));
    for changed in [
        "--icmpv6-type 135",
        "! --tcp-flags FIN,SYN,RST,ACK SYN",
        "--reject-with tcp-reset",
        "! -i lo",
    ] {
        let other = match changed {
            "--icmpv6-type 135" => "--icmpv6-type 128",
            "! -i lo" => "-i lo",
            "--reject-with tcp-reset" => "--reject-with icmp6-adm-prohibited",
            _ => "--tcp-flags FIN,SYN,RST,ACK SYN",
        };
        let found = parse::save(&SAVED.replace(changed, other), Family::V6).unwrap();
        assert!(drift(&wanted, &found, &OWNERSHIP).is_some(), "{other}");
    }
}

#[test]
fn the_json_names_the_conditions_and_the_answers() {
    let json = render::json(&[reject_ipv6()]);
    for part in [
        r#""icmpv6_type": 135"#,
        r#""tcp_syn": true"#,
        r#""reject": "tcp-reset""#,
        r#""reject": "icmp6-adm-prohibited""#,
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
}

#[test]
fn new_connections_are_refused_except_over_loopback() {
    let rules = reject_ipv6();
    let outcome = |packet: &str| {
        let packet: Packet = packet.parse().unwrap();
        walk_in(&rules, &packet, &host()).outcome
    };
    for (packet, expected) in [
        ("in tcp [fd00::17]:8080 from fd00::2", RejectWith::TcpReset),
        ("out tcp [fd00::2]:8080 uid 1000", RejectWith::TcpReset),
        (
            "in udp [fd00::17]:8080 from fd00::2",
            RejectWith::Icmpv6AdminProhibited,
        ),
        (
            "out udp [fe80::2]:8080 uid 1337",
            RejectWith::Icmpv6AdminProhibited,
        ),
    ] {
        let found = outcome(packet);
        let is_expected = matches!(found, Outcome::Rejected { with, .. } if with == expected);
        assert!(is_expected, "{packet}: {found:?}");
    }
    for packet in [
        "out tcp [::1]:8080 uid 1000",
        "out tcp [fd00::17]:8080 uid 1000",
        "out udp [fd00::17]:8080 uid 1000",
        "in tcp [fd00::17]:8080 from fd00::2 state established",
        "out tcp [fd00::2]:8080 state established reply",
    ] {
        let found = outcome(packet);
        let passes = matches!(found, Outcome::NotRedirected { .. });
        assert!(passes, "{packet}: {found:?}");
    }
}
