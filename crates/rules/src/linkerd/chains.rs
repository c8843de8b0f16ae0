//! The chains of Linkerd.

use mesh_cni_netfilter::ChainName;

use crate::chains::REJECT_IPV6;

/// Redirects inbound connections to the proxy.
pub const REDIRECT: ChainName = ChainName::constant("PROXY_INIT_REDIRECT");
/// Redirects outbound connections to the proxy.
pub const OUTPUT_RULES: ChainName = ChainName::constant("PROXY_INIT_OUTPUT");

/// All of our chains, in the order of their first use.
pub const OURS: [ChainName; 3] = [REDIRECT, OUTPUT_RULES, REJECT_IPV6];
