//! Single values of interception settings, and the one way in which their texts are read.

mod boolean;
mod excerpt;
mod interface_name;
mod list;
mod network;
mod number;

pub use boolean::boolean;
pub use excerpt::excerpt;
pub use interface_name::InterfaceName;
pub use list::{Selected, list, single, wildcard_or_list};
pub(crate) use network::network_or_address;
pub use network::{EXPECTED as EXPECTED_NETWORK, UnwrittenRanges, network};
pub use number::{Gid, Port, Uid};

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
