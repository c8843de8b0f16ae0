//! The policy routing that a rule set depends on.

use super::Mark;

/// A routing table that delivers packets with a mark locally.
///
/// TPROXY and transparent proxies require it: `ip rule add fwmark MARK lookup TABLE` and, in that
/// table, `local default dev lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRouting {
    /// The packet mark.
    pub mark: Mark,
    /// The routing table.
    pub table: u32,
    /// The priority of the rule; without one, the kernel chooses.
    pub priority: Option<u32>,
}

impl PolicyRouting {
    /// The routing for packets whose mark is that value, with the priority that the kernel chooses.
    pub const fn new(mark: u32, table: u32) -> Self {
        Self {
            mark: Mark::exact(mark),
            table,
            priority: None,
        }
    }

    /// Whether the wanted routing exists: without a wanted priority, any is right.
    pub fn is_found(wanted: Option<Self>, found: Option<Self>) -> bool {
        let any_priority = |mut found: Self| {
            if wanted.is_some_and(|wanted| wanted.priority.is_none()) {
                found.priority = None;
            }
            found
        };
        wanted == found.map(any_priority)
    }
}
