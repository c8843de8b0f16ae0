//! The chains of sidecar interception, spelled as Istio and the documented dump spell them.

use mesh_cni_netfilter::ruleset::{BuiltinChain, ChainName};

/// The kernel's chain for packets that arrive.
pub const PREROUTING: ChainName = ChainName::constant(BuiltinChain::Prerouting.as_str());
/// The kernel's chain for packets that a process here sends.
pub const OUTPUT: ChainName = ChainName::constant(BuiltinChain::Output.as_str());

/// Which inbound connections are captured.
pub const INBOUND: ChainName = ChainName::constant("ISTIO_INBOUND");
/// Sends to the proxy's outbound port.
pub const REDIRECT: ChainName = ChainName::constant("ISTIO_REDIRECT");
/// Sends to the proxy's inbound port.
pub const IN_REDIRECT: ChainName = ChainName::constant("ISTIO_IN_REDIRECT");
/// Which outbound connections are captured.
pub const OUTPUT_RULES: ChainName = ChainName::constant("ISTIO_OUTPUT");
/// Drops packets that belong to no connection.
pub const DROP: ChainName = ChainName::constant("ISTIO_DROP");

/// Marks a connection that is the proxy's already, and lets it in (TPROXY).
pub const DIVERT: ChainName = ChainName::constant("ISTIO_DIVERT");
/// Hands inbound connections to the proxy unchanged.
pub const TPROXY: ChainName = ChainName::constant("ISTIO_TPROXY");
/// Which DNS queries are captured.
pub const OUTPUT_DNS: ChainName = ChainName::constant("ISTIO_OUTPUT_DNS");

/// Every chain that is ours, in the order in which a full rule set first uses them.
///
/// A listing shows them in this order, whatever order the kernel gave them back in.
pub const OURS: [ChainName; 8] = [
    DROP,
    INBOUND,
    REDIRECT,
    IN_REDIRECT,
    DIVERT,
    TPROXY,
    OUTPUT_RULES,
    OUTPUT_DNS,
];
