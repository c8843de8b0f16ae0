//! What Linkerd's sidecar defines by convention: ports, and the names of chains.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use mesh_cni_netfilter::{Ownership, PortNames};

use super::chains;

/// What is ours in the network namespace of a pod of Linkerd.
pub static OWNERSHIP: Ownership = Ownership {
    chains: Cow::Borrowed(&chains::OURS),
    marks: Cow::Borrowed(&[]),
    comment_prefixes: Cow::Borrowed(&[]),
    excludes_interfaces: false,
};

/// The ports on which the sidecar listens.
pub const PORT_NAMES: PortNames = PortNames(&[
    (4140, "linkerd-proxy outbound on 4140"),
    (4143, "linkerd-proxy inbound on 4143"),
    (4190, "linkerd-proxy control on 4190"),
    (4191, "linkerd-proxy admin on 4191"),
]);

/// The ports on which a sidecar listens by default: outbound, inbound, control and admin.
pub const PROXY_PORTS: RangeInclusive<u16> = 4140..=4191;
