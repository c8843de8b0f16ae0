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

impl PolicyRouting {
    /// Mark 1337, table 133: what Istio uses.
    pub const ISTIO: Self = Self {
        mark: 1337,
        table: 133,
    };

    /// The mark of what the proxy sends to the pod's own address: the next one, 1338.
    pub fn outbound_mark(self) -> u32 {
        self.mark.wrapping_add(1)
    }
}
