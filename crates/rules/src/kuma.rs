//! Kuma and Kong Mesh.

pub mod chains;

mod conventions;

pub use conventions::{OWNERSHIP, PORT_NAMES, PROXY_PORTS};
