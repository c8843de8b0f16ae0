//! `linux/netfilter/nf_tables_compat.h`: matches and targets of `x_tables` within `nf_tables`.

use super::attributes;

pub(crate) const NFNL_MSG_COMPAT_GET: u16 = 0;

attributes! { NFTA_TARGET_NAME = 1, NFTA_TARGET_REV = 2, NFTA_TARGET_INFO = 3 }
attributes! { NFTA_MATCH_NAME = 1, NFTA_MATCH_REV = 2, NFTA_MATCH_INFO = 3 }
attributes! { NFTA_COMPAT_NAME = 1, NFTA_COMPAT_REV = 2, NFTA_COMPAT_TYPE = 3 }
