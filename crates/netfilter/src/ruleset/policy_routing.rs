//! The policy routing that goes with a rule set.

/// Packets with a mark are delivered locally, by a routing table of their own.
///
/// What TPROXY needs besides its rules: `ip rule add fwmark MARK lookup TABLE` and, in that table,
/// `local default dev lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRouting {
    /// The packet mark.
    pub mark: u32,
    /// The routing table.
    pub table: u32,
}
