//! The walk against the contract's table: every row, in both rule sets and both families.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::walk::{NetnsAddresses, walk_in};
use mesh_cni_netfilter::{Packet, Walk};
use mesh_cni_rules::interception::{DnsCapture, Mode};
use mesh_cni_rules::{Dialect, Interception, PORT_NAMES, compile};

use crate::support::{assert_snapshot, productpage};

/// The addresses of one family: a row of the table is written once for both.
struct Addresses {
    family: Family,
    names: [(&'static str, &'static str); 5],
}

const ADDRESSES: [Addresses; 2] = [
    Addresses {
        family: Family::V4,
        names: [
            ("POD", "10.244.1.17"),
            ("OTHER", "10.0.0.7"),
            ("EXCLUDED", "192.168.0.1"),
            ("LOOPBACK", "127.0.0.1"),
            ("PASSTHROUGH", "127.0.0.6"),
        ],
    },
    Addresses {
        family: Family::V6,
        names: [
            ("POD", "[fd00::17]"),
            ("OTHER", "[fd00::7]"),
            ("EXCLUDED", "[fd00:99::1]"),
            ("LOOPBACK", "[::1]"),
            ("PASSTHROUGH", "[::6]"),
        ],
    },
];

impl Addresses {
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, address) in self.names {
            text = text.replace(name, address);
        }
        text
    }
}

pub(crate) fn host() -> NetnsAddresses {
    let addresses: [IpAddr; 2] = ["10.244.1.17", "fd00::17"].map(|text| text.parse().unwrap());
    NetnsAddresses::pod(&addresses)
}

/// The documented pod, with an excluded range in each family.
pub(crate) fn settings() -> Interception {
    let mut interception = productpage();
    let range: IpNetwork = "fd00:99::1/128".parse().unwrap();
    interception.exclude_outbound_ranges.push(range);
    interception
}

pub(crate) fn with_dns() -> Interception {
    let mut interception = settings();
    interception.dns = DnsCapture::All;
    interception
}

fn with_tproxy() -> Interception {
    let mut interception = settings();
    interception.mode = "TPROXY".parse::<Mode>().unwrap();
    interception
}

fn walk(rules: &RuleSet, packet: &str) -> Walk {
    walk_in(rules, &packet.parse::<Packet>().unwrap(), &host())
}

/// A packet of the contract's table, and the end that the table gives it.
type Row = (&'static str, &'static str);

fn assert_rows(interception: &Interception, rows: &[Row]) {
    for dialect in [Dialect::Asm, Dialect::Istio] {
        for addresses in &ADDRESSES {
            let rules = compile(interception, dialect, addresses.family);
            for (packet, end) in rows {
                let walk = walk(&rules, &addresses.fill(packet));
                assert_eq!(
                    walk.outcome.display(PORT_NAMES).to_string(),
                    addresses.fill(end),
                    "{dialect}:\n{}",
                    walk.display(PORT_NAMES)
                );
            }
        }
    }
}

/// Rows that hold whatever else is captured.
const OUTBOUND: &[Row] = &[
    (
        "out tcp OTHER:9080 uid 1000",
        "goes to Envoy's outbound listener on 15001, original destination OTHER:9080",
    ),
    (
        "out tcp OTHER:15020 uid 1000",
        "leaves by eth0 to OTHER:15020, as addressed",
    ),
    (
        "out tcp EXCLUDED:9080 uid 1000",
        "leaves by eth0 to EXCLUDED:9080, as addressed",
    ),
    (
        "out tcp LOOPBACK:9080 uid 1000",
        "goes to LOOPBACK:9080 in the pod, as addressed",
    ),
    (
        "out tcp OTHER:9080 uid 1337",
        "leaves by eth0 to OTHER:9080, as addressed",
    ),
    (
        "out tcp OTHER:9080 uid 2000 gid 1337",
        "leaves by eth0 to OTHER:9080, as addressed",
    ),
    (
        "out tcp POD:9080 from PASSTHROUGH uid 1337",
        "goes to POD:9080 in the pod, as addressed",
    ),
    (
        "out tcp POD:9080 uid 1000",
        "goes to POD:9080 in the pod, as addressed",
    ),
    (
        "out udp OTHER:123 uid 1000",
        "leaves by eth0 to OTHER:123, as addressed",
    ),
];

const NOT_CAPTURED_INBOUND: &[Row] = &[
    (
        "in tcp POD:15021 from OTHER",
        "goes to POD:15021 in the pod, as addressed",
    ),
    (
        "in tcp POD:22 from OTHER",
        "goes to POD:22 in the pod, as addressed",
    ),
    (
        "in udp POD:9080 from OTHER",
        "goes to POD:9080 in the pod, as addressed",
    ),
];

#[test]
fn redirect_does_what_the_contract_says() {
    assert_rows(&settings(), OUTBOUND);
    assert_rows(&settings(), NOT_CAPTURED_INBOUND);
    assert_rows(
        &settings(),
        &[
            (
                "in tcp POD:9080 from OTHER",
                "goes to Envoy's inbound listener on 15006, original destination POD:9080",
            ),
            (
                "in tcp POD:15008 from OTHER",
                "goes to POD:15008 in the pod, as addressed",
            ),
            (
                "out tcp POD:9080 uid 1337",
                "goes to Envoy's inbound listener on 15006, original destination POD:9080",
            ),
            (
                "out udp OTHER:53 uid 1000",
                "leaves by eth0 to OTHER:53, as addressed",
            ),
        ],
    );
}

#[test]
fn dns_capture_does_what_the_contract_says() {
    assert_rows(&with_dns(), OUTBOUND);
    assert_rows(&with_dns(), NOT_CAPTURED_INBOUND);
    let to_proxy = "goes to the sidecar's DNS listener on 15053, original destination OTHER:53";
    assert_rows(
        &with_dns(),
        &[
            ("out udp OTHER:53 uid 1000", to_proxy),
            ("out tcp OTHER:53 uid 1000", to_proxy),
            (
                "out udp LOOPBACK:53 uid 1000",
                "goes to the sidecar's DNS listener on 15053, original destination LOOPBACK:53",
            ),
            (
                "out udp OTHER:53 uid 1337",
                "leaves by eth0 to OTHER:53, as addressed",
            ),
            (
                "out tcp OTHER:53 uid 2000 gid 1337",
                "leaves by eth0 to OTHER:53, as addressed",
            ),
        ],
    );
}

#[test]
fn tproxy_does_what_the_contract_says() {
    assert_rows(&with_tproxy(), OUTBOUND);
    assert_rows(&with_tproxy(), NOT_CAPTURED_INBOUND);
    let to_proxy = "goes to Envoy's inbound listener on 15006, source OTHER:40000 and \
                    destination POD:9080 unchanged";
    assert_rows(
        &with_tproxy(),
        &[
            ("in tcp POD:9080 from OTHER:40000", to_proxy),
            (
                "in tcp POD:9080 from OTHER:40000 state established",
                to_proxy,
            ),
            (
                "out tcp POD:9080 uid 1337",
                "goes to Envoy's inbound listener on 15006, original destination POD:9080",
            ),
        ],
    );
}

#[test]
fn without_rules_everything_goes_as_addressed() {
    let none = RuleSet::new(Family::V4);
    let out = walk(&none, "out tcp 10.0.0.7:9080 uid 1000");
    assert_eq!(
        out.outcome.display(PORT_NAMES).to_string(),
        "leaves by eth0 to 10.0.0.7:9080, as addressed"
    );
    let v6 = walk(&none, "in tcp [fd00::17]:9080 from fd00::7");
    assert_eq!(
        v6.outcome.display(PORT_NAMES).to_string(),
        "goes to [fd00::17]:9080 in the pod, as addressed"
    );
    assert!(v6.steps.is_empty());
}

#[test]
fn the_rules_of_the_other_family_are_met_by_nothing() {
    let rules = compile(&settings(), Dialect::Asm, Family::V4);
    let out = walk(&rules, "out tcp [fd00::7]:9080 uid 1000");
    assert!(out.steps.is_empty());
    assert_eq!(
        out.outcome.display(PORT_NAMES).to_string(),
        "leaves by eth0 to [fd00::7]:9080, as addressed"
    );
}

fn walks(interception: &Interception, packets: &[&str]) -> String {
    let rules = compile(interception, Dialect::Asm, Family::V4);
    let walks = packets
        .iter()
        .map(|packet| walk(&rules, packet).display(PORT_NAMES).to_string());
    walks.collect::<Vec<_>>().join("\n")
}

#[test]
fn walks_can_be_read() {
    assert_snapshot!(
        "inbound.asm.v4.walk",
        "9080 is in no exclusion and goes to 15006; 15021 leaves at its exclusion; a later packet \
         of the first connection follows without asking nat; UDP fails the jump",
        walks(
            &settings(),
            &[
                "in tcp 10.244.1.17:9080 from 10.0.0.9",
                "in tcp 10.244.1.17:15021 from 10.0.0.9",
                "in tcp 10.244.1.17:9080 from 10.0.0.9 state established",
                "in udp 10.244.1.17:9080 from 10.0.0.9",
            ]
        )
    );
    assert_snapshot!(
        "outbound.asm.v4.walk",
        "the application's connection fails each of the proxy's rules by user and group and is \
         redirected by the last rule; behind lo it is not asked again; the proxy's own leaves at \
         rule 5; the proxy to its own pod is inbound again at rule 3; from 127.0.0.6 at rule 2",
        walks(
            &settings(),
            &[
                "out tcp 10.0.0.7:9080 uid 1000",
                "out tcp 10.0.0.7:9080 uid 1337",
                "out tcp 10.244.1.17:9080 uid 1337",
                "out tcp 10.244.1.17:9080 from 127.0.0.6 uid 1337",
            ]
        )
    );
    assert_snapshot!(
        "dns.asm.v4.walk",
        "the application's query is tracked in zone 2 and goes to 15053; the proxy's is tracked in \
         zone 1 by the first rule, the third says nothing more, and it leaves",
        walks(
            &with_dns(),
            &[
                "out udp 10.96.0.10:53 uid 1000",
                "out udp 10.96.0.10:53 uid 1337"
            ]
        )
    );
    assert_snapshot!(
        "tproxy.asm.v4.walk",
        "a new connection is handed over and keeps its addresses; its later packets get the mark in \
         ISTIO_DIVERT; the proxy to its own pod is marked 1338 and redirected, and behind lo not \
         handed over; the application's answer to a connection of mark 1337 stays in the pod",
        walks(
            &with_tproxy(),
            &[
                "in tcp 10.244.1.17:9080 from 10.0.0.9",
                "in tcp 10.244.1.17:9080 from 10.0.0.9 state established",
                "out tcp 10.244.1.17:9080 uid 1337",
                "out tcp 10.0.0.9:32768 from 10.244.1.17:9080 uid 1000 connmark 1337 \
                 state established reply",
            ]
        )
    );
}
