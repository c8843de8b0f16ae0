//! What a rule does with a packet that it matched.

use super::{ChainName, Mark};
use crate::value::Port;

/// The verdict of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Leave this chain and go on after the rule that jumped here.
    Return,
    /// The packet passes; the table is done with it.
    Accept,
    /// The packet is discarded.
    Drop,
    /// Go through another chain first.
    Jump(ChainName),
    /// `REDIRECT`: rewrite the destination to this namespace, that port.
    Redirect(Port),
    /// `TPROXY`: hand the packet to a local socket without changing it.
    Tproxy {
        /// The port on which the socket listens.
        port: Port,
        /// The mark by which policy routing recognises the packet.
        mark: Mark,
    },
    /// `MARK --set-xmark`: write the packet's mark.
    SetMark(Mark),
    /// `CONNMARK --save-mark`: copy the packet's mark to its connection.
    SaveMark,
    /// `CONNMARK --restore-mark`: copy the connection's mark to the packet.
    RestoreMark,
    /// `CT --zone`: track the packet's connection in a zone of its own.
    ConntrackZone(u16),
    /// Something that this crate never writes, in the words of `iptables-save`; empty where a
    /// rule only counts.
    Opaque(String),
}
