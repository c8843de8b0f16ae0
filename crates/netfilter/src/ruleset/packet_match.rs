//! What a rule can ask of a packet.

use std::fmt;

use crate::value::{Gid, InterfaceName, Port, Uid};
use ipnetwork::IpNetwork;

/// Whether a match asks for a value or for anything but it (`!`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sense {
    /// The packet must have the value.
    Is,
    /// The packet must not have it.
    IsNot,
}

/// One condition on a packet.
///
/// The variants stand in the order in which `iptables-save` writes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// `-s`: the source address.
    Source(Sense, IpNetwork),
    /// `-d`: the destination address.
    Destination(Sense, IpNetwork),
    /// `-i`: the interface on which it came.
    InInterface(Sense, InterfaceName),
    /// `-o`: the interface by which it leaves.
    OutInterface(Sense, InterfaceName),
    /// `-p`: the transport protocol.
    Protocol(Sense, Protocol),
    /// `--sport` of `-m tcp` or `-m udp`.
    SourcePort(Sense, Port),
    /// `--dport` of `-m tcp` or `-m udp`.
    DestinationPort(Sense, Port),
    /// `-m multiport --dports`: any of up to 15 ports.
    DestinationPorts(Sense, Vec<Port>),
    /// `-m owner --uid-owner`: the user whose process sent it.
    OwnerUid(Sense, Uid),
    /// `-m owner --gid-owner`: the group whose process sent it.
    OwnerGid(Sense, Gid),
    /// `-m mark`: the packet's mark.
    Mark(Sense, Mark),
    /// `-m connmark`: the connection's mark.
    Connmark(Sense, Mark),
    /// `-m conntrack --ctstate`: the state of its connection.
    ConntrackState(Sense, Vec<ConntrackState>),
    /// `-m comment`: says something to people, and matches every packet.
    Comment(String),
    /// Something that this crate never writes, in the words of `iptables-save`.
    Opaque(String),
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, protocol number 6.
    Tcp,
    /// UDP, protocol number 17.
    Udp,
}

/// A mark and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// Which bits are looked at or written; all in every rule of ours.
    pub mask: u32,
}

/// The state of a packet's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConntrackState {
    /// It belongs to no connection that could be.
    Invalid,
    /// It opens a connection.
    New,
    /// It belongs to a connection that another one expects.
    Related,
    /// It belongs to a connection that was answered.
    Established,
}

impl Match {
    /// Whether this asks for an address out of all there are, which says nothing: no program gives
    /// such a match back.
    pub fn is_anywhere(&self) -> bool {
        match self {
            Self::Source(Sense::Is, network) | Self::Destination(Sense::Is, network) => {
                network.prefix() == 0
            }
            _ => false,
        }
    }
}

impl Protocol {
    /// The name as iptables writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Mark {
    /// A mark of which all 32 bits count.
    pub fn exact(value: u32) -> Self {
        Self {
            value,
            mask: u32::MAX,
        }
    }
}

impl ConntrackState {
    /// Every state, in the order in which iptables lists them.
    pub const ALL: [Self; 4] = [Self::Invalid, Self::New, Self::Related, Self::Established];

    /// The name as iptables writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::New => "NEW",
            Self::Related => "RELATED",
            Self::Established => "ESTABLISHED",
        }
    }
}

impl fmt::Display for Mark {
    /// As iptables writes it: in hexadecimal, the mask only where it says something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mask {
            u32::MAX => write!(f, "{:#x}", self.value),
            mask => write!(f, "{:#x}/{mask:#x}", self.value),
        }
    }
}
