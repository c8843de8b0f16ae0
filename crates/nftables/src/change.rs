//! Changes: the requests of a batch.

use std::fmt;

use crate::interpret;
use crate::object::{Chain, ChainId, Element, Rule, Set, Table};

/// A request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Creates a table unless it exists.
    AddTable(Table),
    /// Deletes a table and its content.
    DeleteTable(Table),
    /// Creates a chain unless it exists.
    AddChain {
        /// The chain.
        chain: Chain,
        /// Whether the kernel refuses the batch if the chain exists.
        exclusive: bool,
    },
    /// Deletes a chain; no rule may jump to it.
    DeleteChain(ChainId),
    /// Deletes every rule of a chain.
    FlushChain(ChainId),
    /// Creates a set with its elements.
    AddSet(Set),
    /// Adds elements to a set that is not anonymous. Existing ones stay as they are.
    AddElements {
        /// The table of the set.
        table: Table,
        /// The name of the set.
        set: String,
        /// The elements, so many that the list takes less than 64 KiB.
        elements: Vec<Element>,
    },
    /// Deletes elements, which must exist, of a set that is not anonymous.
    DeleteElements {
        /// The table of the set.
        table: Table,
        /// The name of the set.
        set: String,
        /// The elements.
        elements: Vec<Element>,
    },
    /// Appends a rule to its chain.
    AppendRule(Rule),
    /// Deletes a rule by its handle.
    DeleteRule {
        /// Its chain.
        chain: ChainId,
        /// The kernel's handle of the rule.
        handle: u64,
    },
}

impl Change {
    /// One line: a rule in the format of iptables, as far as it has an equivalent.
    pub fn summary(&self) -> String {
        match self {
            Self::AppendRule(rule) => {
                format!("add rule {} {}", rule.chain, interpret::spec(rule))
            }
            Self::AddSet(set) => format!("add set {} {}", set.table, set.name),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Change {
    /// In the format of `nft --debug=netlink`, one expression a line.
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
            Self::AddElements {
                table,
                set,
                elements,
            } => write_elements(f, "add to", table, set, elements),
            Self::DeleteElements {
                table,
                set,
                elements,
            } => write_elements(f, "delete from", table, set, elements),
            Self::AppendRule(rule) => write!(f, "add rule {rule}"),
            Self::DeleteRule { chain, handle } => {
                write!(f, "delete rule {chain} handle {handle}")
            }
        }
    }
}

fn write_elements(
    f: &mut fmt::Formatter<'_>,
    verb: &str,
    table: &Table,
    set: &str,
    elements: &[Element],
) -> fmt::Result {
    write!(f, "{verb} set {table} {set}")?;
    elements
        .iter()
        .try_for_each(|element| write!(f, "\n  {element}"))
}
