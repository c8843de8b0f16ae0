//! One snapshot for each setting that changes the rules.

use mesh_cni_netfilter::render;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::{Gid, InterfaceName};
use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, Mode, OwnerGroups};
use mesh_cni_rules::istio::{Dialect, Interception, TPROXY_ROUTING, compile};

use crate::support::{annotations, asm, assert_snapshot, interception, productpage};

fn restore(pairs: &[(&str, &str)]) -> String {
    render::restore(&asm(&interception(&annotations(pairs))))
}

#[test]
fn only_included_ports_are_captured() {
    assert_snapshot!(
        "include-ports.asm.v4.restore",
        "inbound, only 9080 and 9443 go to ISTIO_IN_REDIRECT, and there are no exclusions; outbound, \
         3306 goes to ISTIO_REDIRECT before the ranges are checked",
        restore(&[
            ("traffic.sidecar.istio.io/includeInboundPorts", "9080, 9443"),
            ("traffic.sidecar.istio.io/excludeInboundPorts", "22"),
            ("traffic.sidecar.istio.io/includeOutboundPorts", "3306"),
        ])
    );
}

#[test]
fn empty_lists_capture_nothing() {
    assert_snapshot!(
        "include-nothing.asm.v4.restore",
        "no jump from PREROUTING and no jump to ISTIO_REDIRECT; only the rules for the proxy",
        restore(&[
            ("traffic.sidecar.istio.io/includeInboundPorts", ""),
            ("traffic.sidecar.istio.io/includeOutboundIPRanges", ""),
        ])
    );
}

#[test]
fn only_included_ranges_are_captured() {
    assert_snapshot!(
        "include-ranges.asm.v4.restore",
        "10.96.0.0/12 is captured, with its host bits cleared; 10.96.0.10/32 is excluded; fd00::/8 is \
         of the other family; no rule for all destinations at the end",
        restore(&[
            (
                "traffic.sidecar.istio.io/includeOutboundIPRanges",
                "10.97.1.2/12,fd00::/8"
            ),
            (
                "traffic.sidecar.istio.io/excludeOutboundIPRanges",
                "10.96.0.10/32"
            ),
        ])
    );
}

#[test]
fn a_loopback_range_captures_connections_to_the_pod_itself() {
    assert_snapshot!(
        "include-loopback.asm.v4.restore",
        "without the two rules that exclude other senders on lo (! --uid-owner, ! --gid-owner); \
         127.1.1.0/24 is captured",
        restore(&[(
            "traffic.sidecar.istio.io/includeOutboundIPRanges",
            "127.1.1.0/24"
        )])
    );
}

#[test]
fn interfaces_are_excluded_or_rerouted() {
    assert_snapshot!(
        "interfaces.asm.v4.restore",
        "net1 returns first in PREROUTING and OUTPUT; the first rule sends packets from docker0 to \
         ISTIO_REDIRECT, before the inbound chain",
        restore(&[
            ("traffic.sidecar.istio.io/excludeInterfaces", "net1"),
            ("istio.io/reroute-virtual-interfaces", "docker0"),
            ("traffic.sidecar.istio.io/kubevirtInterfaces", "ignored0"),
        ])
    );
}

#[test]
fn owner_groups_and_invalid_packets() {
    let mut interception = productpage();
    interception.owner_groups = OwnerGroups::Only(vec![Gid(1000), Gid(1001)]);
    interception.drop_invalid = true;
    assert_snapshot!(
        "owner-groups.asm.v4.restore",
        "mangle drops packets that belong to no connection; after the proxy's rules, one rule \
         returns for senders that are neither in group 1000 nor in 1001",
        render::restore(&asm(&interception))
    );
    interception.owner_groups = OwnerGroups::Except(vec![Gid(7), Gid(8)]);
    let text = render::restore(&asm(&interception));
    assert!(
        text.contains("--gid-owner 7 -j RETURN\n-A ISTIO_OUTPUT -m owner --gid-owner 8 -j RETURN")
    );
}

#[test]
fn ipv6_has_its_own_loopback_and_only_its_own_ranges() {
    let interception = interception(&annotations(&[(
        "traffic.sidecar.istio.io/excludeOutboundIPRanges",
        "192.168.0.1/32,fd00:1::/32",
    )]));
    let rules = compile(&interception, Dialect::Asm, Family::V6);
    assert_snapshot!(
        "exclude-ranges.asm.v6.restore",
        "::6 and ::1 instead of 127.0.0.6 and 127.0.0.1; fd00:1::/32 is excluded; no IPv4 range",
        render::restore(&rules)
    );
}

#[test]
fn the_istio_dialect_differs_as_in_the_contract() {
    let rules = compile(&productpage(), Dialect::Istio, Family::V4);
    assert_snapshot!(
        "productpage.istio.v4.restore",
        "OUTPUT jumps for all protocols; UDP 15020 returns too; the proxy's rules for its own pod \
         match TCP except 15008",
        render::restore(&rules)
    );
}

#[test]
fn tproxy_does_not_change_connections() {
    let mut tproxy = productpage();
    tproxy.mode = Mode::Tproxy(TPROXY_ROUTING);
    tproxy.exclude_interfaces = vec!["net1".parse::<InterfaceName>().unwrap()];
    let rules = asm(&tproxy);
    assert_eq!(rules.routing, Some(TPROXY_ROUTING));
    assert_snapshot!(
        "tproxy.asm.v4.restore",
        "mangle: known connections go to ISTIO_DIVERT, new ones to 15006, except to 127.0.0.1; the \
         first three rules of ISTIO_INBOUND return (mark 1337; from 127.0.0.6; over lo without \
         mark 1338); marks are saved and restored; net1 is excluded in both tables; nat has no \
         jump from PREROUTING",
        render::restore(&rules)
    );
    tproxy.inbound =
        InboundCapture::Only(["9080", "9443"].map(|port| port.parse().unwrap()).to_vec());
    assert_snapshot!(
        "tproxy-include-ports.istio.v6.restore",
        "one rule for known connections and one for new ones for each of the two ports; ::1 and ::6 \
         as loopback addresses",
        render::restore(&compile(&tproxy, Dialect::Istio, Family::V6))
    );
}

#[test]
fn captured_dns_has_separate_zones() {
    let mut dns = productpage();
    dns.dns = DnsCapture::All;
    assert_snapshot!(
        "dns-all.asm.v4.restore",
        "nat: a second jump from OUTPUT for UDP queries; ISTIO_OUTPUT_DNS follows the proxy's rules \
         and sends port 53 to 15053; the rules for lo exclude queries; raw: the proxy's queries \
         are in zone 1, all others in zone 2",
        render::restore(&asm(&dns))
    );
    let istio = compile(&dns, Dialect::Istio, Family::V4);
    assert_snapshot!(
        "dns-all.istio.v4.restore",
        "like asm, but one jump from OUTPUT for all protocols; the proxy's rules for its own pod \
         exclude 53 and 15008 by user, and 15008 by group",
        render::restore(&istio)
    );
}

#[test]
fn dns_of_listed_servers_is_captured_in_their_family() {
    let mut dns = productpage();
    dns.dns = DnsCapture::Servers(vec![
        "10.96.0.10".parse().unwrap(),
        "10.96.0.11".parse().unwrap(),
        "fd00::a".parse().unwrap(),
    ]);
    assert_snapshot!(
        "dns-servers.asm.v4.restore",
        "each DNS rule has one of the two IPv4 servers, all TCP rules before all UDP rules",
        render::restore(&asm(&dns))
    );
}

#[test]
fn servers_of_one_family_change_the_owner_rules_of_both() {
    let mut dns = productpage();
    for (servers, without) in [("fd00::a", Family::V4), ("10.96.0.10", Family::V6)] {
        dns.dns = DnsCapture::Servers(vec![servers.parse().unwrap()]);
        for (dialect, to_itself) in [
            (
                Dialect::Istio,
                "-p tcp -m multiport ! --dports 53,15008 -m owner --uid-owner",
            ),
            (Dialect::Asm, "-p tcp ! --dport 53 -m owner --uid-owner"),
        ] {
            let text = render::restore(&compile(&dns, dialect, without));
            for words in [
                to_itself,
                "-o lo -p tcp ! --dport 53 -m owner ! --uid-owner",
                "-o lo -p tcp ! --dport 53 -m owner ! --gid-owner",
                "-A OUTPUT -j ISTIO_OUTPUT_DNS",
                "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1",
            ] {
                assert!(text.contains(words), "{dialect} {without} {words}:\n{text}");
            }
            for words in [
                "-j REDIRECT --to-ports 15053",
                "-A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS",
            ] {
                assert!(
                    !text.contains(words),
                    "{dialect} {without} {words}:\n{text}"
                );
            }
        }
    }
    dns.dns = DnsCapture::Servers(Vec::new());
    let text = render::restore(&compile(&dns, Dialect::Istio, Family::V4));
    assert!(!text.contains("--dport 53"), "{text}");
}

#[test]
fn the_command_without_flags_captures_nothing() {
    let text = render::restore(&asm(&Interception::command_default()));
    assert!(!text.contains("-A PREROUTING"), "{text}");
    assert!(!text.contains("-j ISTIO_REDIRECT"), "{text}");
}
