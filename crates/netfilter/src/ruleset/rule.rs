//! One rule: what it matches, what it does, and what it counted.

use super::{Match, Target};

/// Packets and bytes that met a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, network headers included.
    pub bytes: u64,
}

/// A rule: all matches must hold, then the target decides.
///
/// `matches` stand as they were written. Two rules that say the same in another order are
/// [equivalent](Rule::is_equivalent), not equal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Every condition on the packet.
    pub matches: Vec<Match>,
    /// What happens to a packet that meets them all.
    pub target: Target,
    /// What the kernel counted; zero in a rule that only exists here.
    pub counters: Counters,
}

impl Counters {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        packets: 0,
        bytes: 0,
    };
}

impl Rule {
    /// A rule that has counted nothing.
    pub fn new(matches: impl Into<Vec<Match>>, target: Target) -> Self {
        Self {
            matches: matches.into(),
            target,
            counters: Counters::ZERO,
        }
    }

    /// Whether both say the same to the kernel: order of independent matches and counters apart.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.target == other.target && self.sorted_matches() == other.sorted_matches()
    }

    /// The matches in the order in which `iptables-save` writes them, without those that every
    /// packet meets.
    ///
    /// All matches of a rule must hold, so their order says nothing.
    pub fn sorted_matches(&self) -> Vec<&Match> {
        let says_something = |condition: &&Match| !condition.is_anywhere();
        let mut matches: Vec<_> = self.matches.iter().filter(says_something).collect();
        matches.sort();
        matches
    }
}
