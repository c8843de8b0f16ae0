//! `linux/netfilter/x_tables.h` and the headers of its matches and targets: names and revisions of
//! the extensions, and offsets in the structures that they read.

use super::constants;

/// The alignment of `XT_ALIGN` on 64-bit machines.
pub(crate) const XT_ALIGN: usize = 8;

/// Which of its structures an extension reads: its name, its revision, the structure's size.
pub(crate) type Layout = (&'static str, u32, usize);

pub(crate) mod xt_owner {
    //! `xt_owner.h`, `struct xt_owner_match_info`
    pub(crate) const OWNER: super::Layout = ("owner", 1, 20);
    super::constants! { u8: XT_OWNER_UID = 1 << 0, XT_OWNER_GID = 1 << 1 }
    super::constants! { usize: UID_MIN = 0, UID_MAX = 4, GID_MIN = 8, GID_MAX = 12, MATCH = 16, INVERT = 17 }
}

pub(crate) mod xt_multiport {
    //! `xt_multiport.h`, `struct xt_multiport_v1`: its ports are in host byte order
    pub(crate) const MULTIPORT: super::Layout = ("multiport", 1, 48);
    pub(crate) const XT_MULTIPORT_DESTINATION: u8 = 1;
    pub(crate) const XT_MULTI_PORTS: usize = 15;
    super::constants! { usize: FLAGS = 0, COUNT = 1, PORTS = 2, PFLAGS = 32, INVERT = 47 }
}

pub(crate) mod xt_connmark {
    //! `xt_connmark.h`, `struct xt_connmark_mtinfo1` and `struct xt_connmark_tginfo2`
    pub(crate) const CONNMARK_MATCH: super::Layout = ("connmark", 1, 12);
    super::constants! { usize: MARK = 0, MASK = 4, INVERT = 8 }
    pub(crate) const CONNMARK_TARGET: super::Layout = ("CONNMARK", 2, 16);
    super::constants! { u8: XT_CONNMARK_SET = 0, XT_CONNMARK_SAVE = 1, XT_CONNMARK_RESTORE = 2 }
    super::constants! { usize: CTMARK = 0, CTMASK = 4, NFMASK = 8, MODE = 14 }
}

pub(crate) mod xt_mark {
    //! `xt_mark.h`, `struct xt_mark_mtinfo1` and `struct xt_mark_tginfo2`
    pub(crate) const MARK_MATCH_REVISION: u32 = 1;
    pub(crate) const MARK_TARGET: super::Layout = ("MARK", 2, 8);
    super::constants! { usize: MARK = 0, MASK = 4, INVERT = 8 }
}

pub(crate) mod xt_conntrack {
    //! `xt_conntrack.h`, `struct xt_conntrack_mtinfo3`
    pub(crate) const CONNTRACK: super::Layout = ("conntrack", 3, 164);
    pub(crate) const XT_CONNTRACK_STATE: u16 = 1 << 0;
    super::constants! { usize: MATCH_FLAGS = 146, INVERT_FLAGS = 148, STATE_MASK = 150 }
}

pub(crate) mod xt_comment {
    //! `xt_comment.h`, `struct xt_comment_info`
    pub(crate) const XT_MAX_COMMENT_LEN: usize = 256;
    pub(crate) const COMMENT: super::Layout = ("comment", 0, XT_MAX_COMMENT_LEN);
}

pub(crate) mod xt_tcpudp {
    //! `xt_tcpudp.h`, `struct xt_tcp` and `struct xt_udp`
    super::constants! { u8: XT_TCP_INV_SRCPT = 0x01, XT_TCP_INV_DSTPT = 0x02, XT_TCP_INV_FLAGS = 0x08 }
    super::constants! { usize: SPTS = 0, DPTS = 4 }
    /// Option and flags of the TCP header, which `struct xt_udp` lacks.
    pub(crate) const TCP_FLAGS: std::ops::Range<usize> = 8..11;
    super::constants! { usize: TCP_INVFLAGS = 11, UDP_INVFLAGS = 8 }
}

pub(crate) mod nf_nat {
    //! `nf_nat.h`: what `REDIRECT` reads
    /// IPv4: `struct nf_nat_ipv4_multi_range_compat`
    pub(crate) const REDIRECT_IPV4: super::Layout = ("REDIRECT", 0, 20);
    super::constants! { usize: RANGESIZE = 0, IPV4_FLAGS = 4, IPV4_MIN = 16, IPV4_MAX = 18 }
    /// IPv6: `struct nf_nat_range`
    pub(crate) const REDIRECT_IPV6: super::Layout = ("REDIRECT", 0, 40);
    super::constants! { usize: IPV6_FLAGS = 0, IPV6_MIN = 36, IPV6_MAX = 38 }
}

pub(crate) mod xt_tproxy {
    //! `xt_TPROXY.h`, `struct xt_tproxy_target_info_v1`
    pub(crate) const TPROXY: super::Layout = ("TPROXY", 1, 28);
    super::constants! { usize: MARK_MASK = 0, MARK_VALUE = 4, LPORT = 24 }
}

pub(crate) mod xt_ct {
    //! `xt_CT.h`, `struct xt_ct_target_info_v1`, which revision 2 reads too
    pub(crate) const CT: super::Layout = ("CT", 2, 72);
    pub(crate) const ZONE: usize = 2;
}

pub(crate) mod xt_log {
    //! `xt_LOG.h`, `struct xt_log_info`
    pub(crate) const LOG: super::Layout = ("LOG", 0, 32);
    super::constants! { usize: LEVEL = 0, PREFIX = 2, PREFIX_SIZE = 30 }
}

pub(crate) mod ip6t_icmp {
    //! `linux/netfilter_ipv6/ip6_tables.h`, `struct ip6t_icmp`: a type and a range of codes
    pub(crate) const ICMP6: super::Layout = ("icmp6", 0, 4);
    super::constants! { usize: TYPE = 0, CODE_MAX = 2, INVFLAGS = 3 }
    pub(crate) const IP6T_ICMP_INV: u8 = 1;
}

pub(crate) mod reject {
    //! `linux/netfilter_ipv4/ipt_REJECT.h`, `linux/netfilter_ipv6/ip6t_REJECT.h`: one number
    pub(crate) const REJECT: super::Layout = ("REJECT", 0, 4);
    super::constants! { u32: IPT_TCP_RESET = 7, IP6T_ICMP6_ADM_PROHIBITED = 1, IP6T_TCP_RESET = 6 }
}
