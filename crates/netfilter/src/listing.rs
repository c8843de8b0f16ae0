//! The listing — what `iptables -t TABLE -L -n -v --line-numbers -x` prints, as a table of texts.
//!
//! A listing says less than a rule set (the dump in the documentation even masks addresses), so it
//! is a type of its own: made from a rule set, or read from a text, and printed.

mod from_rules;
mod parse;
mod print;
mod wording;

pub use parse::{InvalidListing, Problem};
pub use print::Layout;

use crate::Ownership;
use crate::ruleset::{Counters, PolicyVerdict, RuleSet, TableName};

/// One table, listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The chains: the kernel's own first, then ours in order of first use, then others.
    pub chains: Vec<ListedChain>,
}

/// One chain of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedChain {
    /// Its name.
    pub name: String,
    /// What its first line says in brackets.
    pub heading: Heading,
    /// Its rules.
    pub rules: Vec<ListedRule>,
}

/// What the first line of a chain says in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// A chain of the kernel's own: its policy and what reached it.
    Policy(PolicyVerdict, Counters),
    /// Any other chain: how many rules jump to it.
    References(usize),
}

/// One line of a chain, column by column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedRule {
    /// `num`: its number in the chain, from 1.
    pub number: usize,
    /// `pkts` and `bytes`.
    pub counters: Counters,
    /// `target`; empty where a rule only counts.
    pub target: String,
    /// `prot`.
    pub protocol: String,
    /// `opt`: `--`, or what is asked of fragments.
    pub options: String,
    /// `in`.
    pub in_interface: String,
    /// `out`.
    pub out_interface: String,
    /// `source`.
    pub source: String,
    /// `destination`.
    pub destination: String,
    /// Everything behind the columns.
    pub details: String,
}

impl Listing {
    /// One table of a rule set as the documented command lists it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_cni_netfilter::{Family, Listing, Ownership, TableName, parse};
    ///
    /// let saved = "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n";
    /// let rules = parse::save(saved, Family::V4)?;
    /// let listing = Listing::of(&rules, TableName::Nat, &Ownership::default());
    /// assert!(listing.to_string().contains("redir ports 15001"));
    /// # Ok::<(), parse::InvalidSave>(())
    /// ```
    pub fn of(rules: &RuleSet, table: TableName, ownership: &Ownership) -> Self {
        from_rules::list(rules, table, ownership)
    }

    /// Reads what the documented command printed, folded or aligned.
    pub fn parse(text: &str) -> Result<Self, InvalidListing> {
        parse::parse(text)
    }

    /// The same listing with every counter at zero, for comparisons.
    #[must_use]
    pub fn without_counters(mut self) -> Self {
        for chain in &mut self.chains {
            if let Heading::Policy(_, counters) = &mut chain.heading {
                *counters = Counters::ZERO;
            }
            for rule in &mut chain.rules {
                rule.counters = Counters::ZERO;
            }
        }
        self
    }
}
