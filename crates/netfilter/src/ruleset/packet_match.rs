//! The conditions of a rule.

use std::borrow::Cow;
use std::fmt;

use crate::value::{Gid, IdRange, InterfaceName, PortRange, Uid};
use ipnetwork::IpNetwork;

/// Whether a condition requires a value or excludes it (`!`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sense {
    /// The packet must have the value.
    Is,
    /// The packet must not have the value.
    IsNot,
}

/// One condition on a packet.
///
/// The variants are in the order in which `iptables-save` writes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// `-s`: the source address.
    Source(Sense, IpNetwork),
    /// `-d`: the destination address.
    Destination(Sense, IpNetwork),
    /// `-i`: the interface through which it arrived.
    InInterface(Sense, InterfaceName),
    /// `-o`: the interface through which it leaves.
    OutInterface(Sense, InterfaceName),
    /// `-p`: the transport protocol.
    Protocol(Sense, Protocol),
    /// `--sport` of `-m tcp` or `-m udp`.
    SourcePort(Sense, PortRange),
    /// `--dport` of `-m tcp` or `-m udp`.
    DestinationPort(Sense, PortRange),
    /// `--syn`: the packet opens a TCP connection: of the flags FIN, SYN, RST and ACK it has SYN.
    TcpSyn(Sense),
    /// `-m icmp6 --icmpv6-type`: the type of an `ICMPv6` message.
    Icmpv6Type(Sense, u8),
    /// `-m multiport --dports`: any of up to 15 ports; a range counts as two.
    DestinationPorts(Sense, Vec<PortRange>),
    /// `-m owner --uid-owner`: the user whose process sent it is one of these.
    OwnerUid(Sense, IdRange<Uid>),
    /// `-m owner --gid-owner`: the group whose process sent it is one of these.
    OwnerGid(Sense, IdRange<Gid>),
    /// `-m mark`: the packet's mark.
    Mark(Sense, Mark),
    /// `-m connmark`: the connection's mark.
    Connmark(Sense, Mark),
    /// `-m conntrack --ctstate`: the state of its connection.
    ConntrackState(Sense, Vec<ConntrackState>),
    /// `-m comment`: a text for readers; matches every packet.
    Comment(String),
    /// Conditions that this crate does not know, as `iptables-save` writes them.
    Opaque(String),
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, protocol number 6.
    Tcp,
    /// UDP, protocol number 17.
    Udp,
    /// `ICMPv6`, protocol number 58.
    Icmpv6,
}

/// A mark and its mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// The bits that are compared or written.
    pub mask: u32,
}

/// The state of a packet's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConntrackState {
    /// The packet belongs to no possible connection.
    Invalid,
    /// The packet opens a connection.
    New,
    /// The packet opens a connection that another connection expects.
    Related,
    /// The packet belongs to a connection with packets in both directions.
    Established,
}

impl Match {
    /// Whether this holds for all addresses or all ports. Programs do not return such a condition.
    pub fn always_holds(&self) -> bool {
        match self {
            Self::Source(Sense::Is, network) | Self::Destination(Sense::Is, network) => {
                network.prefix() == 0
            }
            Self::SourcePort(Sense::Is, ports) | Self::DestinationPort(Sense::Is, ports) => {
                *ports == PortRange::ALL
            }
            _ => false,
        }
    }

    /// The text of a comment.
    pub fn as_comment(&self) -> Option<&str> {
        match self {
            Self::Comment(text) => Some(text),
            _ => None,
        }
    }

    /// The form in which conditions with the same effect are equal.
    ///
    /// Lists of ports are sorted, and ranges in them that overlap or adjoin are one; a list of one is
    /// that one. What is not in
    /// the first or the last ports is in the others: `! 0:1024` is `1025:65535`.
    pub fn canonical(&self) -> Cow<'_, Self> {
        let canonical = match self {
            Self::SourcePort(Sense::IsNot, ports) => ports
                .others()
                .map(|others| Self::SourcePort(Sense::Is, others)),
            Self::DestinationPort(Sense::IsNot, ports) => ports
                .others()
                .map(|others| Self::DestinationPort(Sense::Is, others)),
            Self::DestinationPorts(sense, ports) => {
                let merged = PortRange::merged(ports);
                Some(match merged[..] {
                    [only] => Self::DestinationPort(*sense, only).canonical().into_owned(),
                    _ => Self::DestinationPorts(*sense, merged),
                })
            }
            _ => None,
        };
        canonical.map_or(Cow::Borrowed(self), Cow::Owned)
    }
}

impl Protocol {
    /// The name as iptables writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmpv6 => "ipv6-icmp",
        }
    }
}

impl Mark {
    /// Whether a packet or connection with that mark has this one.
    pub fn matches(self, mark: u32) -> bool {
        mark & self.mask == self.value
    }

    /// What that mark becomes if this one is written: clears the bits of the mask, then XORs the
    /// value, including bits outside of the mask.
    pub fn written_to(self, mark: u32) -> u32 {
        (mark & !self.mask) ^ self.value
    }

    /// A mark that uses all 32 bits.
    pub const fn exact(value: u32) -> Self {
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
    /// As iptables writes it: in hexadecimal, with the mask if it has less than all bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mask {
            u32::MAX => write!(f, "{:#x}", self.value),
            mask => write!(f, "{:#x}/{mask:#x}", self.value),
        }
    }
}
