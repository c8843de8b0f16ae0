//! Linkerd, with the rules of `linkerd2-proxy-init`.
//!
//! TCP that **arrives** goes to `PROXY_INIT_REDIRECT`, which rewrites its destination to port 4143.
//! TCP that a local process **opens** goes to `PROXY_INIT_OUTPUT`, which rewrites it to port 4140.
//! The traffic of the proxy, loopback traffic, and excluded ports return before that.

pub mod chains;
pub mod settings;

mod compile;
mod complete;
mod conventions;
mod interception;

pub use compile::compile;
pub(crate) use complete::incomplete;
pub use conventions::{OWNERSHIP, PORT_NAMES, PROXY_PORTS};
pub use interception::Interception;
pub use settings::PodSettings;
