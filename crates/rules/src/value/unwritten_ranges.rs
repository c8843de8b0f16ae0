//! Ranges of a setting for which no rule is written.

use std::fmt;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::network;

use super::InvalidItem;
use super::list::{invalid, items};

/// What a range has to be where rules of IPv4 alone are written.
const EXPECTED_FOUR: &str = "an IPv4 range, and here IPv4 rules alone are written (IPv6 ones follow \
    an IPv6 address: the first one, or with dual stack any)";

/// How many ranges a message names.
const NAMED: usize = 8;

/// Those ranges of a list that no rule can carry out, since none of their family are written.
///
/// Displayed it names the first of them, counts the others and says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwrittenRanges {
    /// The first few.
    named: Vec<InvalidItem>,
    /// How many there are.
    count: usize,
    /// Whether the list has others.
    some_are_written: bool,
}

impl UnwrittenRanges {
    /// Looks for them in a list of ranges; none where every one can be carried out. Items that are
    /// no ranges are not looked at.
    pub fn find(text: &str, families: &[Family]) -> Option<Self> {
        let is_written =
            |item: &&str| network(item).is_none_or(|range| families.contains(&Family::of(&range)));
        let (written, unwritten): (Vec<_>, Vec<_>) = items(text).partition(is_written);
        let named = unwritten.iter().take(NAMED);
        let named = named.map(|item| invalid(text, item, EXPECTED_FOUR));
        (!unwritten.is_empty()).then(|| Self {
            named: named.collect(),
            count: unwritten.len(),
            some_are_written: !written.is_empty(),
        })
    }

    /// What is wrong with the first, where nothing of the list can be carried out.
    pub fn as_refusal(&self) -> Option<InvalidItem> {
        let first = self.named.first().filter(|_| !self.some_are_written);
        first.cloned()
    }
}

impl fmt::Display for UnwrittenRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no rule for ")?;
        for (at, InvalidItem { item, position, .. }) in self.named.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}`{item}` at position {position}")?;
        }
        match self.count - self.named.len() {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        f.write_str(
            ": here IPv4 rules alone are written (IPv6 ones follow an IPv6 address: the first one, \
             or with dual stack any), and IPv6 traffic is left alone",
        )
    }
}
