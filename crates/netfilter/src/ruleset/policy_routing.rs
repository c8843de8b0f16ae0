//! The policy routing that a rule set depends on.

/// A routing table that delivers packets with a mark locally.
///
/// TPROXY requires it: `ip rule add fwmark MARK lookup TABLE` and, in that table,
/// `local default dev lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRouting {
    /// The packet mark.
    pub mark: u32,
    /// The routing table.
    pub table: u32,
}
