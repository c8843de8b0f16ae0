//! Values of settings: lists, a wildcard or a list, and booleans.

mod boolean;
mod list;
mod unsupported_ranges;

pub use boolean::boolean;
pub(crate) use list::invalid;
pub use list::{Selected, every_item, list, single, wildcard_or_list};
pub use unsupported_ranges::UnsupportedRanges;

use mesh_cni_netfilter::value::excerpt;
use thiserror::Error;

/// An item of a setting that is not valid, and its position. Displayed, a long item is cut.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` at position {position} is not {expected}", excerpt(item, 1))]
#[non_exhaustive]
pub struct InvalidItem {
    /// The item as it was written, without surrounding white space.
    pub item: String,
    /// The position of its first character in the setting, from 1.
    pub position: usize,
    /// What is valid there.
    pub expected: &'static str,
}
