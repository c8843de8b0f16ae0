//! The steps of a walk: each rule that was checked, and why it matched or not.

use std::net::{IpAddr, SocketAddr};

use super::outcome::{Outcome, UndecidedReason};
use super::packet::Packet;
use crate::ruleset::{
    ChainName, ConntrackState, Match, PolicyVerdict, Protocol, RejectWith, TableName,
};
use crate::value::{Gid, InterfaceName, Port, Uid};

/// The whole walk of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Walk {
    /// The packet before any rule changed it.
    pub packet: Packet,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Where the packet ended.
    pub outcome: Outcome,
    /// The packet's mark at the end.
    pub mark: u32,
    /// The connection's mark at the end.
    pub connmark: u32,
    /// The conntrack zone of the connection; 0 is the default zone.
    pub zone: u16,
    /// The destination to which nat rewrote the packet.
    pub translated: Option<SocketAddr>,
}

/// One rule, policy or skipped chain on the way of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Whether the packet came for the first time, or again over `lo`.
    pub pass: Pass,
    /// The table.
    pub table: TableName,
    /// The chain.
    pub chain: ChainName,
    /// What happened there.
    pub event: Event,
}

/// How often a packet has traversed the hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// As it was sent or arrived.
    First,
    /// It was sent here, left through `lo`, and arrived from `lo`.
    Loopback,
}

/// What happened in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A rule was checked.
    Rule {
        /// Its number in the chain, from 1.
        number: usize,
        /// The rule as iptables writes it, without comments.
        text: String,
        /// Whether it matched, and what it did.
        result: RuleResult,
    },
    /// The packet reached the end of a built-in chain.
    Policy(PolicyVerdict),
    /// The kernel skips a chain of the nat table for this packet.
    NatSkipped(NatSkip),
}

/// Why the kernel skips the nat table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatSkip {
    /// NAT was decided on the first pass.
    DecidedOnFirstPass,
    /// The packet is not the first of its connection: the recorded translation applies, if there
    /// is one.
    LaterPacket(Option<SocketAddr>),
    /// The packet belongs to no connection.
    NoConnection,
}

/// Whether a rule matched, and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleResult {
    /// One of its conditions does not hold.
    NotMatched(Mismatch),
    /// All of its conditions hold.
    Matched(Effect),
    /// This crate cannot decide it.
    Undecided(UndecidedReason),
}

/// The first condition of a rule that does not hold, and the packet's value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The condition.
    pub condition: Match,
    /// The value that the packet has instead.
    pub found: PacketValue,
}

/// The value of a packet that a condition checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketValue {
    /// The source address.
    Source(IpAddr),
    /// The destination address.
    Destination(IpAddr),
    /// The interface through which it arrived; `None` at the hooks for sent packets.
    InInterface(Option<InterfaceName>),
    /// The interface through which it leaves; `None` at the hooks for arriving packets.
    OutInterface(Option<InterfaceName>),
    /// The protocol.
    Protocol(Protocol),
    /// The source port.
    SourcePort(u16),
    /// The destination port.
    DestinationPort(u16),
    /// Whether it opens a TCP connection.
    TcpSyn(bool),
    /// The user whose process sent it; `None` without a socket.
    OwnerUid(Option<Uid>),
    /// The group whose process sent it; `None` without a socket.
    OwnerGid(Option<Gid>),
    /// The packet's mark.
    Mark(u32),
    /// The connection's mark; `None` without a connection, where no condition holds.
    Connmark(Option<u32>),
    /// The connection's state; INVALID without a connection, as in the raw table.
    State(ConntrackState),
}

/// What a rule did to the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// It returned to the calling chain, or to the policy.
    Returned,
    /// It left this table.
    Accepted,
    /// It was dropped.
    Dropped,
    /// It was dropped, and its sender gets this answer.
    Rejected(RejectWith),
    /// It continued in that chain.
    Jumped(ChainName),
    /// Its destination became this one.
    Redirected(SocketAddr),
    /// It was assigned to a local transparent socket and marked.
    Tproxied {
        /// The socket's port.
        port: Port,
        /// The packet's new mark.
        mark: u32,
    },
    /// The packet's mark became this one.
    MarkSet(u32),
    /// The connection's mark became this one.
    ConnmarkSet(u32),
    /// The connection's mark became this one, the packet's.
    MarkSaved(u32),
    /// The packet's mark became this one, the connection's.
    MarkRestored(u32),
    /// There was no connection whose mark could be set, saved or restored.
    NoConnection,
    /// The connection is tracked in this zone.
    ZoneSet(u16),
    /// The connection or an earlier rule had already decided the zone.
    ZoneKept(u16),
    /// None: the rule only counts or logs.
    None,
}

impl Walk {
    /// How many rules a walk checks before it gives up.
    ///
    /// The limit ends walks through chains that call each other in many combinations.
    pub const MAX_RULES: usize = 1 << 17;
}
