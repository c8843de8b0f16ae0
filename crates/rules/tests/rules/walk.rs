//! Walks through compiled rules: the rows of the contract's table, in both dialects and families.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::walk::{NetnsAddresses, walk_in};
use mesh_cni_netfilter::{Packet, Walk};
use mesh_cni_rules::istio::interception::{DnsCapture, Mode};
use mesh_cni_rules::istio::{Dialect, Interception, PORT_NAMES, compile};

use crate::support::{assert_snapshot, productpage};

/// The addresses of one family, so that a row is written once for both.
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

/// A packet of the contract's table, and its outcome.
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

/// Rows for all modes.
const OUTBOUND: &[Row] = &[
    (
        "out tcp OTHER:9080 uid 1000",
        "goes to Envoy's outbound listener on 15001, original destination OTHER:9080",
    ),
    (
        "out tcp OTHER:15020 uid 1000",
        "leaves through eth0 to OTHER:15020, not redirected",
    ),
    (
        "out tcp EXCLUDED:9080 uid 1000",
        "leaves through eth0 to EXCLUDED:9080, not redirected",
    ),
    (
        "out tcp LOOPBACK:9080 uid 1000",
        "is delivered locally to LOOPBACK:9080, not redirected",
    ),
    (
        "out tcp OTHER:9080 uid 1337",
        "leaves through eth0 to OTHER:9080, not redirected",
    ),
    (
        "out tcp OTHER:9080 uid 2000 gid 1337",
        "leaves through eth0 to OTHER:9080, not redirected",
    ),
    (
        "out tcp POD:9080 from PASSTHROUGH uid 1337",
        "is delivered locally to POD:9080, not redirected",
    ),
    (
        "out tcp POD:9080 uid 1000",
        "is delivered locally to POD:9080, not redirected",
    ),
    (
        "out udp OTHER:123 uid 1000",
        "leaves through eth0 to OTHER:123, not redirected",
    ),
];

const NOT_CAPTURED_INBOUND: &[Row] = &[
    (
        "in tcp POD:15021 from OTHER",
        "is delivered locally to POD:15021, not redirected",
    ),
    (
        "in tcp POD:22 from OTHER",
        "is delivered locally to POD:22, not redirected",
    ),
    (
        "in udp POD:9080 from OTHER",
        "is delivered locally to POD:9080, not redirected",
    ),
];

#[test]
fn redirect_follows_the_contract() {
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
                "is delivered locally to POD:15008, not redirected",
            ),
            (
                "out tcp POD:9080 uid 1337",
                "goes to Envoy's inbound listener on 15006, original destination POD:9080",
            ),
            (
                "out udp OTHER:53 uid 1000",
                "leaves through eth0 to OTHER:53, not redirected",
            ),
        ],
    );
}

#[test]
fn dns_capture_follows_the_contract() {
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
                "leaves through eth0 to OTHER:53, not redirected",
            ),
            (
                "out tcp OTHER:53 uid 2000 gid 1337",
                "leaves through eth0 to OTHER:53, not redirected",
            ),
        ],
    );
}

#[test]
fn tproxy_follows_the_contract() {
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
fn without_rules_nothing_is_redirected() {
    let none = RuleSet::new(Family::V4);
    let out = walk(&none, "out tcp 10.0.0.7:9080 uid 1000");
    assert_eq!(
        out.outcome.display(PORT_NAMES).to_string(),
        "leaves through eth0 to 10.0.0.7:9080, not redirected"
    );
    let v6 = walk(&none, "in tcp [fd00::17]:9080 from fd00::7");
    assert_eq!(
        v6.outcome.display(PORT_NAMES).to_string(),
        "is delivered locally to [fd00::17]:9080, not redirected"
    );
    assert!(v6.steps.is_empty());
}

#[test]
fn rules_of_the_other_family_do_not_apply() {
    let rules = compile(&settings(), Dialect::Asm, Family::V4);
    let out = walk(&rules, "out tcp [fd00::7]:9080 uid 1000");
    assert!(out.steps.is_empty());
    assert_eq!(
        out.outcome.display(PORT_NAMES).to_string(),
        "leaves through eth0 to [fd00::7]:9080, not redirected"
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
fn walks_as_text() {
    assert_snapshot!(
        "inbound.asm.v4.walk",
        "9080 is not excluded and goes to 15006; 15021 is excluded; for a later packet of the first \
         connection nat is skipped; the jump does not match UDP",
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
        "the last rule redirects the application's connection, which none of the proxy's rules \
         match; on the second pass nat is skipped; the proxy's connection returns at rule 5; from \
         the proxy to its own pod, rule 3 makes it inbound; from 127.0.0.6, it returns at rule 2",
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
        "the application's query is in zone 2 and goes to 15053; the first rule puts the proxy's \
         query in zone 1, the third has no effect, and the query leaves",
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
        "a new connection goes to the proxy with its addresses; ISTIO_DIVERT marks its later packets; \
         the proxy's connection to its own pod gets mark 1338 and is redirected, and on the second \
         pass TPROXY does not apply; the application's reply in a connection with mark 1337 stays \
         in the pod",
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
