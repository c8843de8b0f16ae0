//! What Kuma's sidecar defines by convention: ports, and the names of chains.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use mesh_cni_netfilter::{Ownership, PortNames};

use super::chains;

/// What is ours in the network namespace of a pod of Kuma.
pub static OWNERSHIP: Ownership = Ownership {
    chains: Cow::Borrowed(&chains::OURS),
    marks: Cow::Borrowed(&[]),
    comment_prefixes: Cow::Borrowed(&[]),
    excludes_interfaces: false,
};

/// The ports on which the sidecar listens.
pub const PORT_NAMES: PortNames = PortNames(&[
    (15001, "Envoy's outbound listener on 15001"),
    (15006, "Envoy's inbound listener on 15006"),
    (15053, "the sidecar's DNS listener on 15053"),
]);

/// The ports on which a sidecar listens by default.
pub const PROXY_PORTS: RangeInclusive<u16> = 15001..=15053;
