//! Registers, keys, headers and comparisons, with their numbers in the kernel and names in `nft`.

use std::fmt;

use crate::uapi::nf_tables::{
    NFT_CMP_EQ, NFT_CMP_GT, NFT_CMP_GTE, NFT_CMP_LTE, NFT_CMP_NEQ, NFT_CT_MARK, NFT_CT_STATE,
    NFT_CT_ZONE, NFT_META_IIF, NFT_META_IIFNAME, NFT_META_L4PROTO, NFT_META_MARK, NFT_META_NFPROTO,
    NFT_META_OIF, NFT_META_OIFNAME, NFT_META_PROTOCOL, NFT_META_SKGID, NFT_META_SKUID,
    NFT_PAYLOAD_LL_HEADER, NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER, NFT_REG_1,
    NFT_REG_2, NFT_REG_VERDICT,
};

/// A register of `nf_tables` (`enum nft_registers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(pub u32);

impl Register {
    /// The register for verdicts.
    pub const VERDICT: Self = Self(NFT_REG_VERDICT);
    /// The first register for data, 16 bytes wide.
    pub const ONE: Self = Self(NFT_REG_1);
    /// The second register for data, 16 bytes wide.
    pub const TWO: Self = Self(NFT_REG_2);
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reg {}", self.0)
    }
}

/// Declares an enum of numbers with the names that `nft` prints, and a variant for all others.
macro_rules! numbered {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:ident, $word:literal;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// Another one, by its number.
            Other(u32),
        }

        impl $name {
            /// The kernel's number.
            pub fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The variant with the kernel's number.
            pub fn from_number(number: u32) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($word),)*
                    Self::Other(number) => write!(f, "#{number}"),
                }
            }
        }
    };
}

numbered! {
    /// Metadata of a packet (`enum nft_meta_keys`).
    MetaKey {
        /// The protocol above the link layer.
        Protocol = NFT_META_PROTOCOL, "protocol";
        /// The packet mark.
        Mark = NFT_META_MARK, "mark";
        /// The index of the input interface.
        InInterface = NFT_META_IIF, "iif";
        /// The index of the output interface.
        OutInterface = NFT_META_OIF, "oif";
        /// The name of the input interface.
        InInterfaceName = NFT_META_IIFNAME, "iifname";
        /// The name of the output interface.
        OutInterfaceName = NFT_META_OIFNAME, "oifname";
        /// The user id of the sending process.
        SocketUid = NFT_META_SKUID, "skuid";
        /// The group id of the sending process.
        SocketGid = NFT_META_SKGID, "skgid";
        /// The network protocol.
        NetworkFamily = NFT_META_NFPROTO, "nfproto";
        /// The transport protocol.
        TransportProtocol = NFT_META_L4PROTO, "l4proto";
    }
}

numbered! {
    /// Properties of a packet's connection (`enum nft_ct_keys`).
    CtKey {
        /// The connection state, one bit each.
        State = NFT_CT_STATE, "state";
        /// The connection mark.
        Mark = NFT_CT_MARK, "mark";
        /// The conntrack zone.
        Zone = NFT_CT_ZONE, "zone";
    }
}

numbered! {
    /// The header in which an offset counts (`enum nft_payload_bases`).
    PayloadBase {
        /// The link-layer header.
        Link = NFT_PAYLOAD_LL_HEADER, "link";
        /// The IP header.
        Network = NFT_PAYLOAD_NETWORK_HEADER, "network";
        /// The transport header.
        Transport = NFT_PAYLOAD_TRANSPORT_HEADER, "transport";
    }
}

numbered! {
    /// How a register is compared with data (`enum nft_cmp_ops`).
    Comparison {
        /// Equal.
        Equal = NFT_CMP_EQ, "eq";
        /// Not equal.
        NotEqual = NFT_CMP_NEQ, "neq";
        /// Less or equal.
        LessOrEqual = NFT_CMP_LTE, "lte";
        /// Greater.
        Greater = NFT_CMP_GT, "gt";
        /// Greater or equal.
        GreaterOrEqual = NFT_CMP_GTE, "gte";
    }
}
