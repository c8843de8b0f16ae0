//! The words of expressions: registers, keys, headers and comparisons, with their numbers.

use std::fmt;

/// A register of the rule's machine (`enum nft_registers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(pub u32);

impl Register {
    /// The register of verdicts.
    pub const VERDICT: Self = Self(0);
    /// The first register for data, 16 bytes wide.
    pub const ONE: Self = Self(1);
    /// The second register for data, 16 bytes wide.
    pub const TWO: Self = Self(2);
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reg {}", self.0)
    }
}

/// Makes an enum of numbers with the names that `nft` prints, and a variant for all others.
macro_rules! numbered {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal, $word:literal;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// Another one, by its number.
            Other(u32),
        }

        impl $name {
            /// Its number on the wire.
            pub fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The one with that number.
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
    /// What is known about a packet beside its bytes (`enum nft_meta_keys`).
    MetaKey {
        /// The protocol of the link layer.
        Protocol = 1, "protocol";
        /// The packet's mark.
        Mark = 3, "mark";
        /// The index of the interface on which it came.
        InInterface = 4, "iif";
        /// The index of the interface by which it leaves.
        OutInterface = 5, "oif";
        /// The name of the interface on which it came.
        InInterfaceName = 6, "iifname";
        /// The name of the interface by which it leaves.
        OutInterfaceName = 7, "oifname";
        /// The user whose process sent it.
        SocketUid = 10, "skuid";
        /// The group whose process sent it.
        SocketGid = 11, "skgid";
        /// The family of the network protocol.
        NetworkFamily = 15, "nfproto";
        /// The transport protocol.
        TransportProtocol = 16, "l4proto";
    }
}

numbered! {
    /// What is known about a packet's connection (`enum nft_ct_keys`).
    CtKey {
        /// Its state, a bit for each.
        State = 0, "state";
        /// Its mark.
        Mark = 3, "mark";
        /// The zone in which it is tracked.
        Zone = 17, "zone";
    }
}

numbered! {
    /// Where counting of bytes begins (`enum nft_payload_bases`).
    PayloadBase {
        /// The link layer.
        Link = 0, "link";
        /// The IP header.
        Network = 1, "network";
        /// The header of the transport protocol.
        Transport = 2, "transport";
    }
}

numbered! {
    /// How a register is compared (`enum nft_cmp_ops`).
    Comparison {
        /// The same bytes.
        Equal = 0, "eq";
        /// Other bytes.
        NotEqual = 1, "neq";
    }
}
