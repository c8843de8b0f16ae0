//! Linkerd, with the rules of `linkerd2-proxy-init`.

pub mod chains;

mod conventions;

pub use conventions::{OWNERSHIP, PORT_NAMES};
