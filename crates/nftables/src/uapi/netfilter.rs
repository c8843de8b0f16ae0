//! `linux/netfilter.h`, and the small headers that several subsystems share.

use super::constants;

// Verdicts of hooks.
constants! { i32: NF_DROP = 0, NF_ACCEPT = 1 }

// `enum nf_inet_hooks`
constants! {
    u32:
    NF_INET_PRE_ROUTING = 0, NF_INET_LOCAL_IN = 1, NF_INET_FORWARD = 2, NF_INET_LOCAL_OUT = 3,
    NF_INET_POST_ROUTING = 4,
}

constants! { u8: NFPROTO_UNSPEC = 0, NFPROTO_IPV4 = 2, NFPROTO_IPV6 = 10 }

pub(crate) mod ipv4 {
    //! `linux/netfilter_ipv4.h`; `linux/netfilter_ipv6.h` has the same priorities.

    super::constants! {
        i32:
        NF_IP_PRI_RAW = -300, NF_IP_PRI_MANGLE = -150, NF_IP_PRI_NAT_DST = -100,
        NF_IP_PRI_FILTER = 0, NF_IP_PRI_NAT_SRC = 100,
    }
}

pub(crate) mod nf_nat {
    //! `linux/netfilter/nf_nat.h`

    super::constants! {
        u32: NF_NAT_RANGE_MAP_IPS = 1 << 0, NF_NAT_RANGE_PROTO_SPECIFIED = 1 << 1,
    }
}

pub(crate) mod icmpv6 {
    //! `linux/icmpv6.h`

    super::constants! { u8: ICMPV6_ADM_PROHIBITED = 1 }
}

pub(crate) mod tcp {
    //! The flags in the fourteenth byte of a TCP header.

    super::constants! {
        u8: TCPHDR_FIN = 1 << 0, TCPHDR_SYN = 1 << 1, TCPHDR_RST = 1 << 2, TCPHDR_ACK = 1 << 4,
    }
}

pub(crate) mod nf_conntrack_common {
    //! `linux/netfilter/nf_conntrack_common.h`

    // `enum ip_conntrack_info`
    super::constants! {
        u16: IP_CT_ESTABLISHED = 0, IP_CT_RELATED = 1, IP_CT_NEW = 2, IP_CT_IS_REPLY = 3,
    }

    pub(crate) const NF_CT_STATE_INVALID_BIT: u16 = 1 << 0;

    /// `NF_CT_STATE_BIT`; `XT_CONNTRACK_STATE_BIT` of `xt_conntrack.h` is the same.
    pub(crate) const fn nf_ct_state_bit(info: u16) -> u16 {
        1 << (info % IP_CT_IS_REPLY + 1)
    }
}

pub(crate) mod r#in {
    //! `linux/in.h`

    super::constants! { u8: IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_ICMPV6 = 58 }
}
