//! `linux/netfilter/nfnetlink.h`: the netlink protocol of netfilter's subsystems.

use super::netlink::NLMSG_MIN_TYPE;
use super::{attributes, constants};

/// The size of `struct nfgenmsg`.
pub(crate) const NFGENMSG_LEN: usize = 4;

constants! { u16: NFNL_SUBSYS_NFTABLES = 10, NFNL_SUBSYS_NFT_COMPAT = 11 }
constants! { u16: NFNL_MSG_BATCH_BEGIN = NLMSG_MIN_TYPE, NFNL_MSG_BATCH_END = NLMSG_MIN_TYPE + 1 }

// `enum nfnl_batch_attributes`
attributes! { NFNL_BATCH_GENID = 1 }
