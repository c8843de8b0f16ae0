//! What ambient mode defines by convention: marks, routing, ports, and the names of chains.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use mesh_cni_netfilter::{Mark, Ownership, PolicyRouting, PortNames, RuleSet};

use super::chains::PREROUTING_RULES;
use crate::istio;

/// The mark of the packets that ztunnel sends.
pub const ZTUNNEL_MARK: Mark = Mark {
    value: 0x539,
    mask: 0xfff,
};

/// The mark of the connections that ztunnel opens to the application.
pub const CONNECTION_MARK: Mark = Mark {
    value: 0x111,
    mask: 0xfff,
};

/// Delivers the answers of the application to ztunnel.
pub const ROUTING: PolicyRouting = PolicyRouting {
    mark: CONNECTION_MARK,
    table: 100,
    priority: Some(32764),
};

/// The source address of probes of the node, to which its host rules rewrite them. Connections with this
/// source are not redirected.
pub const PROBE_SOURCE_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 7, 127);

/// As [`PROBE_SOURCE_V4`], for IPv6.
pub const PROBE_SOURCE_V6: Ipv6Addr = Ipv6Addr::new(
    0xfd16, 0x9254, 0x7127, 0x1337, 0xffff, 0xffff, 0xffff, 0xffff,
);

/// What is ours in the network namespace of an ambient pod: the same as with a sidecar, because a pod can
/// change from one to the other.
pub static OWNERSHIP: &Ownership = &istio::OWNERSHIP;

/// The same ports, with what listens there.
pub const PORT_NAMES: PortNames = PortNames(&[
    (15001, "ztunnel's outbound port 15001 in this namespace"),
    (
        15006,
        "ztunnel's plaintext inbound port 15006 in this namespace",
    ),
    (15008, "ztunnel's HBONE port 15008 in this namespace"),
    (15053, "ztunnel's DNS port 15053 in this namespace"),
]);

/// The ports on which ztunnel listens in the namespace of each pod.
pub const PROXY_PORTS: RangeInclusive<u16> = 15001..=15053;

/// Whether rules of ours are those of ambient mode, and not those of a sidecar.
pub fn is_ambient(rules: &RuleSet) -> bool {
    let mut tables = rules.tables.iter();
    tables.any(|table| table.chain(&PREROUTING_RULES).is_some())
}
