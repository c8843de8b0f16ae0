//! Where a packet ends.

use std::net::SocketAddr;

use crate::ruleset::{ChainName, RejectWith, TableName};
use crate::value::{InterfaceName, Port};

/// The end of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A listener in this namespace receives it with a rewritten destination.
    Redirected {
        /// The listener's port.
        port: Port,
        /// The rewritten destination.
        to: SocketAddr,
        /// The original destination, which the listener reads with `SO_ORIGINAL_DST`.
        original: SocketAddr,
    },
    /// A transparent listener in this namespace receives it, its source unchanged.
    Tproxied {
        /// The listener's port.
        port: Port,
        /// The packet's source, which the listener sees.
        source: SocketAddr,
        /// The packet's destination, which is the accepted socket's own address.
        destination: SocketAddr,
        /// The original destination. It differs from `destination` where nat rewrote that after a
        /// listener was assigned.
        original: SocketAddr,
    },
    /// It goes to its original destination.
    NotRedirected {
        /// The destination.
        to: SocketAddr,
        /// Where that is.
        location: Location,
    },
    /// A rule or a policy drops it.
    Dropped {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// The number of the rule, from 1; `None` for the chain's policy.
        rule: Option<usize>,
    },
    /// A rule refuses it: its sender gets an answer.
    Rejected {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// The number of the rule, from 1.
        rule: usize,
        /// The answer.
        with: RejectWith,
    },
    /// What a rule does is unknown, so the walk ends there.
    Undecided {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// The number of the rule, from 1.
        rule: usize,
        /// What is unknown.
        reason: UndecidedReason,
    },
}

/// Where a destination is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In this namespace.
    Local,
    /// Outside, through that interface.
    Remote(InterfaceName),
}

/// Why the effect of a rule is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UndecidedReason {
    /// This crate does not know the condition; all others of the rule hold.
    Condition(String),
    /// This crate does not know the target.
    Target(String),
    /// The target chain does not exist.
    MissingChain(ChainName),
    /// The target chain is already being traversed; the kernel refuses such rules.
    Loop(ChainName),
    /// The kernel refuses this target in this table or at this hook.
    Misplaced,
    /// `REDIRECT` needs the address of the interface through which the packet arrived.
    NoAddress(InterfaceName),
    /// The walk checked more rules than [`Walk::MAX_RULES`](super::Walk::MAX_RULES).
    TooManyRules,
}

impl UndecidedReason {
    /// Whether all conditions of the rule hold, so that the kernel counts the packet.
    pub(super) fn counts(&self) -> bool {
        !matches!(self, Self::Condition(_) | Self::TooManyRules)
    }
}
