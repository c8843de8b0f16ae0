//! The output of `iptables -t TABLE -L -n -v --line-numbers -x`.
//!
//! A listing has less information than a rule set, so it is a type of its own: a table of texts,
//! which is created from a rule set or parsed from a text.

mod columns;
mod from_rules;
mod parse;
mod print;

pub use parse::{InvalidListing, Problem};
pub use print::Layout;

use crate::Ownership;
use crate::ruleset::{Counters, PolicyVerdict, RuleSet, TableName};

/// One table, listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The chains: built-in ones, then ours in the order of [`Ownership::chains`], then others.
    pub chains: Vec<ListedChain>,
}

/// One chain of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedChain {
    /// The name.
    pub name: String,
    /// The part of its first line in brackets.
    pub heading: Heading,
    /// The rules.
    pub rules: Vec<ListedRule>,
}

/// The part of a chain's first line in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// A built-in chain: its policy and the counters of that.
    Policy(PolicyVerdict, Counters),
    /// Another chain: the number of rules that jump to it.
    References(usize),
}

/// One line of a chain, column by column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedRule {
    /// `num`: the number in the chain, from 1.
    pub number: usize,
    /// `pkts` and `bytes`.
    pub counters: Counters,
    /// `target`; empty for a rule that only counts.
    pub target: String,
    /// `prot`.
    pub protocol: String,
    /// `opt`: `--`, or a condition on fragments.
    pub options: String,
    /// `in`.
    pub in_interface: String,
    /// `out`.
    pub out_interface: String,
    /// `source`.
    pub source: String,
    /// `destination`.
    pub destination: String,
    /// The text after the columns.
    pub details: String,
}

impl Listing {
    /// One table of a rule set.
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

    /// Parses the output of the command, in either [`Layout`].
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
