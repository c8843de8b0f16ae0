//! A chain: its name, its policy and its rules.

use std::fmt;

use super::{ChainName, Counters, Rule, TableName};

/// One chain of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// The name.
    pub name: ChainName,
    /// What happens at the end of the chain; only built-in chains have a policy, and only at their hook.
    pub policy: Option<Policy>,
    /// The rules in the order of evaluation.
    pub rules: Vec<Rule>,
}

/// The policy of a built-in chain, and its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What happens to the packet.
    pub verdict: PolicyVerdict,
    /// What reached the end of the chain.
    pub counters: Counters,
}

/// What a policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyVerdict {
    /// The packet continues.
    Accept,
    /// The packet is dropped.
    Drop,
}

impl Chain {
    /// A chain of that table without rules; a built-in chain gets the policy ACCEPT.
    pub fn new(table: TableName, name: ChainName) -> Self {
        let policy = table.builtin(&name).map(|_| Policy::ACCEPT);
        Self {
            name,
            policy,
            rules: Vec::new(),
        }
    }
}

impl Policy {
    /// ACCEPT, with counters at zero: the policy in a new namespace.
    pub const ACCEPT: Self = Self {
        verdict: PolicyVerdict::Accept,
        counters: Counters::ZERO,
    };
}

impl fmt::Display for PolicyVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
        })
    }
}
