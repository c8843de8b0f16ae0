//! Ranges in a setting that are of a family for which no rules are written.

use std::fmt;

use mesh_cni_netfilter::Family;
use mesh_cni_netfilter::value::network;

use super::InvalidItem;
use super::list::{invalid, items};

/// The valid ranges where only IPv4 rules are written.
const EXPECTED: &str = "an IPv4 range: only IPv4 rules are written for this pod (IPv6 rules \
    require that its first address is IPv6, or with dual stack any address)";

/// How many ranges a message names.
const MAX_NAMED: usize = 8;

/// The ranges of a list to which no rule applies, since no rules of their family are written.
///
/// The message names the first ones with the reason, and counts the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedRanges {
    /// The first ones.
    named: Vec<InvalidItem>,
    /// The number of all.
    count: usize,
    /// Whether the list has supported ranges too.
    some_are_supported: bool,
}

impl UnsupportedRanges {
    /// Finds them in a list of ranges; `None` if all are supported. Ignores items that are not
    /// ranges.
    pub fn find(text: &str, families: &[Family]) -> Option<Self> {
        let is_unsupported =
            |item: &&str| network(item).is_ok_and(|range| !families.contains(&Family::of(&range)));
        let (unsupported, supported): (Vec<_>, Vec<_>) = items(text).partition(is_unsupported);
        let named = unsupported.iter().take(MAX_NAMED);
        (!unsupported.is_empty()).then(|| Self {
            named: named.map(|item| invalid(text, item, EXPECTED)).collect(),
            count: unsupported.len(),
            some_are_supported: !supported.is_empty(),
        })
    }

    /// The error for the first one, if the list has no supported range.
    pub fn as_refusal(&self) -> Option<InvalidItem> {
        let first = self.named.first().filter(|_| !self.some_are_supported);
        first.cloned()
    }
}

impl fmt::Display for UnsupportedRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no rule is written for ")?;
        for (index, InvalidItem { item, position, .. }) in self.named.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}`{item}` at position {position}")?;
        }
        match self.count - self.named.len() {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        f.write_str(
            ": only IPv4 rules are written for this pod (IPv6 rules require that its first address \
             is IPv6, or with dual stack any address), and its IPv6 traffic is not redirected",
        )
    }
}
