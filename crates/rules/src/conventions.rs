//! What Istio's sidecar defines by convention: marks, ports, addresses, and the names of chains.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use mesh_cni_netfilter::{Family, Ownership, PolicyRouting, PortNames, RuleSet, TableName};

use crate::chains;

/// What belongs to sidecar interception in a network namespace.
pub static OWNERSHIP: Ownership = Ownership {
    chains: Cow::Borrowed(&chains::OURS),
    marks: Cow::Borrowed(&[TPROXY_ROUTING.mark]),
};

/// The ports on which a sidecar listens.
pub const PORT_NAMES: PortNames = PortNames(&[
    (15001, "Envoy's outbound listener on 15001"),
    (15006, "Envoy's inbound listener on 15006"),
    (15053, "the sidecar's DNS listener on 15053"),
]);

/// The ports on which a sidecar listens, whatever its settings: Envoy, its agent, and their probes.
pub const PROXY_PORTS: RangeInclusive<u16> = 15000..=15099;

/// The policy routing for TPROXY: mark 1337, table 133.
pub const TPROXY_ROUTING: PolicyRouting = PolicyRouting {
    mark: 1337,
    table: 133,
};

/// Whether rules of ours redirect traffic, and not only refuse it.
pub fn redirects(rules: &RuleSet) -> bool {
    let has = |table| {
        rules
            .table(table)
            .is_some_and(|table| !table.chains.is_empty())
    };
    has(TableName::Nat) || has(TableName::Mangle)
}

/// The source address of a sidecar's connections to the application: 127.0.0.6/32 or `::6/128`.
pub fn inbound_passthrough(family: Family) -> IpNetwork {
    match family {
        Family::V4 => Ipv4Network::from(Ipv4Addr::new(127, 0, 0, 6)).into(),
        Family::V6 => Ipv6Network::from(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6)).into(),
    }
}
