//! Changes: what a batch asks of the kernel, one message each.

use std::fmt;

use crate::interpret;
use crate::object::{Chain, ChainId, Rule, Set, Table};

/// One message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Makes a table where there is none.
    AddTable(Table),
    /// Deletes a table with all that is in it.
    DeleteTable(Table),
    /// Makes a chain.
    AddChain {
        /// The chain.
        chain: Chain,
        /// Whether to refuse where one of that name stands.
        exclusive: bool,
    },
    /// Deletes a chain; no rule may jump to it.
    DeleteChain(ChainId),
    /// Deletes every rule of a chain.
    FlushChain(ChainId),
    /// Makes a set and fills it.
    AddSet(Set),
    /// Adds a rule at the end of its chain.
    AppendRule(Rule),
    /// Deletes a rule by the kernel's number.
    DeleteRule {
        /// Its chain.
        chain: ChainId,
        /// The kernel's number.
        handle: u64,
    },
}

impl Change {
    /// On one line: a rule in iptables' words, as far as it has any.
    pub fn summary(&self) -> String {
        match self {
            Self::AppendRule(rule) => {
                let words = interpret::words(rule);
                format!("add rule {} {words}", rule.chain)
            }
            Self::AddSet(set) => format!("add set {} {}", set.table, set.name),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Change {
    /// In the words of `nft --debug=netlink`, one instruction a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTable(table) => write!(f, "add table {table}"),
            Self::DeleteTable(table) => write!(f, "delete table {table}"),
            Self::AddChain { chain, exclusive } => {
                let verb = if *exclusive { "create" } else { "add" };
                write!(f, "{verb} chain {chain}")
            }
            Self::DeleteChain(chain) => write!(f, "delete chain {chain}"),
            Self::FlushChain(chain) => write!(f, "flush chain {chain}"),
            Self::AddSet(set) => write!(f, "add {set}"),
            Self::AppendRule(rule) => write!(f, "add rule {rule}"),
            Self::DeleteRule { chain, handle } => {
                write!(f, "delete rule {chain} handle {handle}")
            }
        }
    }
}
