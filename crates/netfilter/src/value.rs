//! Single values of rules: ports, user and group ids, interface names, address ranges.

mod excerpt;
mod interface_name;
mod network;
mod number;

pub use excerpt::excerpt;
pub use interface_name::InterfaceName;
pub(crate) use network::network_or_address;
pub use network::{EXPECTED as EXPECTED_NETWORK, network};
pub use number::{Gid, Port, Uid};
