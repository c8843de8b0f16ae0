//! What a rule does with a packet that matches.

use super::{ChainName, Mark};
use crate::value::Port;

/// The target of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Return to the rule after the one that jumped to this chain.
    Return,
    /// Accept the packet: no more rules of this table are evaluated.
    Accept,
    /// Drop the packet.
    Drop,
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
    /// `CONNMARK --save-mark`: copy the packet's mark to its connection.
    SaveMark,
    /// `CONNMARK --restore-mark`: copy the connection's mark to the packet.
    RestoreMark,
    /// `CT --zone`: track the packet's connection in that zone.
    ConntrackZone(u16),
    /// A target that this crate does not know, as `iptables-save` writes it; empty for a rule that
    /// only counts.
    Opaque(String),
}
