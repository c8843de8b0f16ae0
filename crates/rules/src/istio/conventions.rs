//! What Istio's sidecar defines by convention: marks, ports, and the names of chains.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use mesh_cni_netfilter::{Ownership, PolicyRouting, PortNames};

use super::chains;

/// What is ours in the network namespace of a pod of Istio.
pub static OWNERSHIP: Ownership = Ownership {
    chains: Cow::Borrowed(&chains::OURS),
    marks: Cow::Borrowed(&[TPROXY_ROUTING.mark.value]),
    comment_prefixes: Cow::Borrowed(&[]),
    excludes_interfaces: true,
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
pub const TPROXY_ROUTING: PolicyRouting = PolicyRouting::new(1337, 133);
