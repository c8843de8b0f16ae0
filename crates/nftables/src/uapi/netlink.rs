//! `linux/netlink.h`: message and attribute headers of every netlink protocol.

use super::{attributes, constants};

/// The size of `struct nlmsghdr`.
pub(crate) const NLMSG_HDRLEN: usize = 16;
/// Messages start at a multiple of this.
pub(crate) const NLMSG_ALIGNTO: usize = 4;

// Message types.
constants! { u16: NLMSG_ERROR = 0x2, NLMSG_DONE = 0x3, NLMSG_MIN_TYPE = 0x10 }

// Flags of every message.
constants! { u16: NLM_F_REQUEST = 0x01, NLM_F_ACK = 0x04, NLM_F_DUMP_INTR = 0x10 }

// Flags of GET requests.
constants! { u16: NLM_F_ROOT = 0x100, NLM_F_MATCH = 0x200, NLM_F_DUMP = NLM_F_ROOT | NLM_F_MATCH }

// Flags of NEW requests.
constants! { u16: NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_APPEND = 0x800 }

// Flags of acknowledgements.
constants! { u16: NLM_F_CAPPED = 0x100, NLM_F_ACK_TLVS = 0x200 }

// `enum nlmsgerr_attrs`
attributes! { NLMSGERR_ATTR_MSG = 1 }

/// The size of `struct nlattr`.
pub(crate) const NLA_HDRLEN: usize = 4;
/// Attributes start at a multiple of this.
pub(crate) const NLA_ALIGNTO: usize = 4;
constants! { u16: NLA_F_NESTED = 1 << 15, NLA_F_NET_BYTEORDER = 1 << 14 }
pub(crate) const NLA_TYPE_MASK: u16 = !(NLA_F_NESTED | NLA_F_NET_BYTEORDER);
