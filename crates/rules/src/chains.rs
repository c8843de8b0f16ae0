//! The chains that the rules of every mesh use.

use mesh_cni_netfilter::{BuiltinChain, ChainName};

/// The built-in chain for arriving packets.
pub const PREROUTING: ChainName = ChainName::constant(BuiltinChain::Prerouting.as_str());
/// The built-in chain for packets that are delivered to this namespace.
pub const INPUT: ChainName = ChainName::constant(BuiltinChain::Input.as_str());
/// The built-in chain for packets of local processes.
pub const OUTPUT: ChainName = ChainName::constant(BuiltinChain::Output.as_str());

/// Refuses IPv6 traffic. No mesh has such a chain.
pub const REJECT_IPV6: ChainName = ChainName::constant("MESH_CNI_REJECT_IPV6");
