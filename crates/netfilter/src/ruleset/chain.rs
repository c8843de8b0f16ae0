//! A chain: its name, the policy where it has one, and its rules.

use std::fmt;

use super::{ChainName, Counters, Rule};

/// One chain of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// Its name.
    pub name: ChainName,
    /// What happens at its end; only the kernel's own chains have a policy.
    pub policy: Option<Policy>,
    /// Its rules in the order in which a packet meets them.
    pub rules: Vec<Rule>,
}

/// The policy of a built-in chain with the packets that reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What the policy does.
    pub verdict: PolicyVerdict,
    /// How many packets came to the end of the chain.
    pub counters: Counters,
}

/// What a policy can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyVerdict {
    /// The packet goes on.
    Accept,
    /// The packet is discarded.
    Drop,
}

impl Chain {
    /// A chain without rules; one of the kernel's own gets the policy ACCEPT.
    pub fn new(name: ChainName) -> Self {
        let policy = name.builtin().map(|_| Policy::ACCEPT);
        Self {
            name,
            policy,
            rules: Vec::new(),
        }
    }
}

impl Policy {
    /// ACCEPT, no packet seen: what a fresh namespace has.
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
