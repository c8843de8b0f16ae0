//! Values of settings that are lists, choices or booleans, and the one way to parse them.

mod boolean;
mod list;
mod unwritten_ranges;

pub use boolean::boolean;
pub use list::{Selected, list, single, wildcard_or_list};
pub use unwritten_ranges::UnwrittenRanges;

use mesh_cni_netfilter::value::excerpt;
use thiserror::Error;

/// An item of a setting that does not parse, and where it stands in the setting's text. Displayed, a
/// long item is cut.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` at position {position} is not {expected}", excerpt(item, 1))]
#[non_exhaustive]
pub struct InvalidItem {
    /// The item as it was written, blanks around it removed.
    pub item: String,
    /// Where it begins, counted in characters from 1.
    pub position: usize,
    /// What would be taken there.
    pub expected: &'static str,
}
