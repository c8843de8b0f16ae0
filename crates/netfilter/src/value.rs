//! Single values of rules: ports, user and group ids, interface names, address ranges.

mod excerpt;
mod id_range;
mod interface_name;
mod network;
mod number;
mod port_range;

pub use excerpt::excerpt;
pub use id_range::IdRange;
pub use interface_name::InterfaceName;
pub use network::network;
pub(crate) use network::network_or_address;
pub use number::{Gid, Port, Uid};
pub use port_range::PortRange;

use thiserror::Error;

/// A text that is not a valid value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not {expected}")]
pub struct InvalidValue {
    /// What is valid, such as `a port: allowed are whole numbers from 1 to 65535`.
    pub expected: &'static str,
}
