//! The chains of Kuma, in the order in which Kuma creates them.

use mesh_cni_netfilter::ChainName;

use crate::chains::REJECT_IPV6;

/// Selects the inbound connections that are captured.
pub const INBOUND: ChainName = ChainName::constant("KUMA_MESH_INBOUND");
/// Selects the outbound connections that are captured.
pub const OUTBOUND: ChainName = ChainName::constant("KUMA_MESH_OUTBOUND");
/// Redirects to the proxy's inbound port.
pub const INBOUND_REDIRECT: ChainName = ChainName::constant("KUMA_MESH_INBOUND_REDIRECT");
/// Redirects to the proxy's outbound port.
pub const OUTBOUND_REDIRECT: ChainName = ChainName::constant("KUMA_MESH_OUTBOUND_REDIRECT");

/// The chains of every rule set. A listing shows them in this order.
pub(super) const ALWAYS: [ChainName; 4] = [INBOUND, OUTBOUND, INBOUND_REDIRECT, OUTBOUND_REDIRECT];

/// All of our chains.
pub const OURS: [ChainName; 5] = [
    INBOUND,
    OUTBOUND,
    INBOUND_REDIRECT,
    OUTBOUND_REDIRECT,
    REJECT_IPV6,
];
