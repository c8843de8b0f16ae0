//! What a walk is made of: each rule met, and why it matched or not.

use std::net::{IpAddr, SocketAddr};

use super::fate::{Fate, Unjudged};
use super::packet::Packet;
use crate::ruleset::{ChainName, ConntrackState, Match, PolicyVerdict, Protocol, TableName};
use crate::value::{Gid, InterfaceName, Port, Uid};

/// The whole walk of one packet.
///
/// Its `Display` has one line a rule and the end in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Walk {
    /// The packet as it was at first.
    pub packet: Packet,
    /// What it met, in order.
    pub steps: Vec<Step>,
    /// Where it ended.
    pub fate: Fate,
    /// Its mark at the end.
    pub mark: u32,
    /// Its connection's mark at the end.
    pub connmark: u32,
    /// The connection-tracking zone of its connection; 0 is the one that all others are in.
    pub zone: u16,
    /// Where its destination was rewritten to.
    pub translated: Option<SocketAddr>,
}

/// One thing that a packet met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Whether it came for the first time or again over `lo`.
    pub pass: Pass,
    /// In which table.
    pub table: TableName,
    /// In which chain.
    pub chain: ChainName,
    /// What was there.
    pub event: Event,
}

/// How often a packet has been at the hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// As it was sent or arrived.
    First,
    /// Sent here, left by `lo`, arrived from `lo`.
    Loopback,
}

/// What a packet met in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A rule.
    Rule {
        /// Its number in the chain, from 1.
        number: usize,
        /// The rule as iptables writes it.
        text: String,
        /// What came of it.
        outcome: Outcome,
    },
    /// The end of a chain of the kernel's own.
    Policy(PolicyVerdict),
    /// A chain of the nat table that the kernel does not ask for this packet.
    NatSkipped(NatSkip),
}

/// Why the nat table is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatSkip {
    /// The first pass settled it.
    SettledBefore,
    /// A later packet of its connection: the recorded translation holds, if there is one.
    Later(Option<SocketAddr>),
    /// It belongs to no connection.
    NoConnection,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// One of its conditions does not hold.
    Missed(Mismatch),
    /// All of its conditions hold, and it did this.
    Met(Effect),
    /// It cannot be judged.
    Unjudged(Unjudged),
}

/// The first condition of a rule that does not hold, and what the packet has instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The condition.
    pub condition: Match,
    /// What was found.
    pub found: Found,
}

/// What a packet has where a condition asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// Its source address.
    Source(IpAddr),
    /// Its destination address.
    Destination(IpAddr),
    /// The interface by which it came in; none at the hooks of sending.
    InInterface(Option<InterfaceName>),
    /// The interface by which it leaves; none at the hooks of arriving.
    OutInterface(Option<InterfaceName>),
    /// Its protocol.
    Protocol(Protocol),
    /// Its source port.
    SourcePort(u16),
    /// Its destination port.
    DestinationPort(u16),
    /// The user whose process sent it; none where no socket is to be seen.
    OwnerUid(Option<Uid>),
    /// The group whose process sent it; none where no socket is to be seen.
    OwnerGid(Option<Gid>),
    /// Its mark.
    Mark(u32),
    /// Its connection's mark; none where it has no connection, which no condition is true of.
    Connmark(Option<u32>),
    /// Its connection's state; without a connection, as in the raw table, INVALID.
    State(ConntrackState),
}

/// What a rule did to the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Back to the chain that jumped here, or to the policy.
    Returned,
    /// Done with this table.
    Accepted,
    /// Discarded.
    Dropped,
    /// On in that chain.
    Jumped(ChainName),
    /// The destination is rewritten.
    Redirected(SocketAddr),
    /// A local transparent socket will get it; the mark is written.
    Tproxied {
        /// The socket's port.
        port: Port,
        /// The packet's mark from here on.
        mark: u32,
    },
    /// The packet's mark is now this.
    Marked(u32),
    /// The connection's mark is now this.
    MarkSaved(u32),
    /// The packet's mark is now this, its connection's.
    MarkRestored(u32),
    /// There is no connection whose mark could be saved or restored.
    NoConnection,
    /// The connection is tracked in this zone.
    Zone(u16),
    /// A connection or an earlier rule has settled the zone.
    ZoneSettled(u16),
    /// Nothing: the rule counts or logs.
    Observed,
}

impl Walk {
    /// How many rules a walk meets before it gives up: more than any namespace has in use, so that
    /// chains which call each other in every combination end too.
    pub const MOST_RULES: usize = 1 << 17;
}
