//! One rule: its conditions, its target and its counters.

use std::borrow::Cow;

use super::{Match, Target};

/// Packets and bytes that matched a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, network headers included.
    pub bytes: u64,
}

/// A rule: the target applies to packets for which all matches hold.
///
/// Two rules that differ only in the order of their matches are
/// [equivalent](Rule::is_equivalent), not equal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The conditions, in the order in which they were written.
    pub matches: Vec<Match>,
    /// What happens to a packet that matches.
    pub target: Target,
    /// What the kernel counted; zero in a rule that was not read from a kernel.
    pub counters: Counters,
}

impl Counters {
    /// Zero packets, zero bytes.
    pub const ZERO: Self = Self {
        packets: 0,
        bytes: 0,
    };
}

impl Rule {
    /// A rule with counters at zero.
    pub fn new(matches: impl Into<Vec<Match>>, target: Target) -> Self {
        Self {
            matches: matches.into(),
            target,
            counters: Counters::ZERO,
        }
    }

    /// Whether both rules have the same effect and the same comment. Ignores the order of matches and of the ports in a
    /// list, and counters.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.target == other.target && self.canonical_matches() == other.canonical_matches()
    }

    /// The comments of the rule, usually at most one.
    pub fn comments(&self) -> Vec<&str> {
        self.matches.iter().filter_map(Match::as_comment).collect()
    }

    pub(crate) fn remove_comments(&mut self) {
        self.matches
            .retain(|condition| condition.as_comment().is_none());
    }

    /// The matches in their [canonical](Match::canonical) forms, sorted.
    pub(crate) fn canonical_matches(&self) -> Vec<Cow<'_, Match>> {
        let restricting = self.matches.iter().filter(|each| !each.always_holds());
        let mut matches: Vec<_> = restricting.map(Match::canonical).collect();
        matches.sort();
        matches
    }

    /// The matches in the order in which `iptables-save` writes them, without those that
    /// [always hold](Match::always_holds).
    pub fn sorted_matches(&self) -> Vec<&Match> {
        let restricts = |condition: &&Match| !condition.always_holds();
        let mut matches: Vec<_> = self.matches.iter().filter(restricts).collect();
        matches.sort();
        matches
    }
}
