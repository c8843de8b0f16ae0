//! What Linkerd's sidecar defines by convention: ports, and the names of chains.

use std::borrow::Cow;

use mesh_cni_netfilter::{Ownership, PortNames};

use super::chains;

/// What is ours in the network namespace of a pod of Linkerd.
pub static OWNERSHIP: Ownership = Ownership {
    chains: Cow::Borrowed(&chains::OURS),
    marks: Cow::Borrowed(&[]),
};

/// The ports on which the sidecar listens.
pub const PORT_NAMES: PortNames = PortNames(&[
    (4140, "linkerd-proxy's outbound listener on 4140"),
    (4143, "linkerd-proxy's inbound listener on 4143"),
]);
