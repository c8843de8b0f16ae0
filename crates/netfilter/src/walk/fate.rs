//! Where a packet ends.

use std::net::SocketAddr;

use crate::ruleset::{ChainName, TableName};
use crate::value::{InterfaceName, Port};

/// The end of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// A listener of this namespace gets it with a rewritten destination.
    RedirectedTo {
        /// The listener's port.
        port: Port,
        /// The rewritten destination.
        to: SocketAddr,
        /// Where it was for: what `SO_ORIGINAL_DST` tells the listener.
        original: SocketAddr,
    },
    /// A transparent listener of this namespace gets it, its source unchanged.
    Tproxied {
        /// The listener's port.
        port: Port,
        /// Its source, which the listener sees.
        source: SocketAddr,
        /// Its destination, which is the accepted socket's own address.
        destination: SocketAddr,
        /// Where it was for: another address where nat rewrote the destination after a listener
        /// was found, as on interfaces that are rerouted.
        original: SocketAddr,
    },
    /// It goes where it was for.
    AsAddressed {
        /// Its destination.
        to: SocketAddr,
        /// Where that is.
        place: Place,
    },
    /// A rule or a policy discards it.
    Dropped {
        /// In which table.
        table: TableName,
        /// In which chain.
        chain: ChainName,
        /// By which rule, from 1; none where the chain's policy did it.
        rule: Option<usize>,
    },
    /// The rules go on in a way that the walk cannot know.
    Undecided {
        /// In which table.
        table: TableName,
        /// In which chain.
        chain: ChainName,
        /// At which rule, from 1.
        rule: usize,
        /// What cannot be known.
        why: Unjudged,
    },
}

/// Where a destination is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this namespace.
    Here,
    /// Behind that interface.
    Beyond(InterfaceName),
}

/// Why a rule cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unjudged {
    /// A condition that this crate does not know; all others of the rule hold.
    Condition(String),
    /// A target that this crate does not know.
    Target(String),
    /// The target chain is not there.
    MissingChain(ChainName),
    /// The target chain is being walked already: the kernel refuses such rules.
    Loop(ChainName),
    /// The kernel refuses this target in this table or at this hook.
    Misplaced,
    /// `REDIRECT` needs an address of the interface by which the packet came.
    NoAddress(InterfaceName),
    /// The walk has met more rules than [`Walk::MOST_RULES`](super::Walk::MOST_RULES).
    TooManyRules,
}

impl Unjudged {
    /// Whether every condition of the rule holds, so that the kernel counts the packet there.
    pub(super) fn counts(&self) -> bool {
        match self {
            Self::Condition(_) | Self::TooManyRules => false,
            Self::Target(_)
            | Self::MissingChain(_)
            | Self::Loop(_)
            | Self::Misplaced
            | Self::NoAddress(_) => true,
        }
    }
}
