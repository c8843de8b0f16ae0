//! What a rule does with a packet that matches.

use super::{ChainName, Mark};
use crate::value::Port;

/// How `REJECT` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectWith {
    /// With a TCP reset: the connection is refused.
    TcpReset,
    /// With the `ICMPv6` error "communication with destination administratively prohibited".
    Icmpv6AdminProhibited,
}

/// The target of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Return to the rule after the one that jumped to this chain.
    Return,
    /// Accept the packet: no more rules of this table are evaluated.
    Accept,
    /// Drop the packet.
    Drop,
    /// `REJECT`: drop the packet, and answer its sender.
    Reject(RejectWith),
    /// Evaluate another chain.
    Jump(ChainName),
    /// `REDIRECT`: rewrite the destination to a local address and that port.
    Redirect(Port),
    /// `TPROXY`: assign the packet to a local socket without changing it.
    Tproxy {
        /// The port on which the socket listens.
        port: Port,
        /// The mark that policy routing matches.
        mark: Mark,
    },
    /// `MARK --set-xmark`: write the packet's mark.
    SetMark(Mark),
    /// `CONNMARK --set-xmark`: write the mark of the packet's connection.
    SetConnmark(Mark),
    /// `CONNMARK --save-mark`: copy the packet's mark to its connection.
    SaveMark,
    /// `CONNMARK --restore-mark`: copy the connection's mark to the packet.
    RestoreMark,
    /// `CT --zone`: track the packet's connection in that zone.
    ConntrackZone(u16),
    /// `LOG`: write a line about the packet to the kernel's log, and continue with the next rule.
    Log {
        /// The beginning of the line, at most 29 bytes.
        prefix: String,
        /// The level of `syslog(2)`, 0 to 7.
        level: u8,
    },
    /// A target that this crate does not know, as `iptables-save` writes it; empty for a rule that
    /// only counts.
    Opaque(String),
}

impl Target {
    /// The level of `LOG` that iptables and nft do not print: a warning.
    pub const DEFAULT_LOG_LEVEL: u8 = 4;
}

impl RejectWith {
    /// Every answer.
    pub const ALL: [Self; 2] = [Self::TcpReset, Self::Icmpv6AdminProhibited];

    /// The name as iptables writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TcpReset => "tcp-reset",
            Self::Icmpv6AdminProhibited => "icmp6-adm-prohibited",
        }
    }
}
