//! The chains of Istio, which the documented dump has too.

use mesh_cni_netfilter::ChainName;

use crate::chains::REJECT_IPV6;

/// Selects the inbound connections that are captured.
pub const INBOUND: ChainName = ChainName::constant("ISTIO_INBOUND");
/// Redirects to the proxy's outbound port.
pub const REDIRECT: ChainName = ChainName::constant("ISTIO_REDIRECT");
/// Redirects to the proxy's inbound port.
pub const IN_REDIRECT: ChainName = ChainName::constant("ISTIO_IN_REDIRECT");
/// Selects the outbound connections that are captured.
pub const OUTPUT_RULES: ChainName = ChainName::constant("ISTIO_OUTPUT");
/// Drops packets that belong to no connection.
pub const DROP: ChainName = ChainName::constant("ISTIO_DROP");

/// Marks and accepts packets of connections that the proxy already has (TPROXY).
pub const DIVERT: ChainName = ChainName::constant("ISTIO_DIVERT");
/// Assigns inbound connections to the proxy without changing them (TPROXY).
pub const TPROXY: ChainName = ChainName::constant("ISTIO_TPROXY");
/// Selects the DNS queries that are captured.
pub const OUTPUT_DNS: ChainName = ChainName::constant("ISTIO_OUTPUT_DNS");

/// The rules for packets that arrive in [ambient mode](crate::ambient). It is ours with a sidecar too,
/// because a pod can change from one to the other.
pub const PREROUTING_RULES: ChainName = ChainName::constant("ISTIO_PRERT");

/// All of our chains, in the order of their first use in a full rule set.
///
/// A listing shows them in this order.
pub const OURS: [ChainName; 10] = [
    DROP,
    INBOUND,
    REDIRECT,
    IN_REDIRECT,
    DIVERT,
    TPROXY,
    OUTPUT_RULES,
    OUTPUT_DNS,
    PREROUTING_RULES,
    REJECT_IPV6,
];
