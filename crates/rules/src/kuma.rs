//! Kuma and Kong Mesh, with the rules of Kuma 2.14.
//!
//! A connection that **arrives** enters at `PREROUTING`, which sends TCP to `KUMA_MESH_INBOUND`. Excluded
//! sources and ports return there. All others go to `KUMA_MESH_INBOUND_REDIRECT`, which rewrites their
//! destination to port 15006. The proxy connects to the application from 127.0.0.6.
//!
//! A connection that a local process **opens** enters at `OUTPUT`, where excluded users and
//! destinations return and DNS queries over UDP go to port 15053. Other TCP goes to
//! `KUMA_MESH_OUTBOUND`: connections of the proxy return there, unless they are to the pod's own
//! address, as do connections of the application to itself. All others go to
//! `KUMA_MESH_OUTBOUND_REDIRECT`, which rewrites their destination to port 15001.

pub mod chains;

mod compile;
mod complete;
mod conventions;
mod interception;
mod settings;

pub(crate) use complete::incomplete;
pub use conventions::{COMMENT_PREFIX, OWNERSHIP, PORT_NAMES, PROXY_PORTS};
pub use interception::{Flow, Interception, UserExclusion, VirtualNetwork};
pub use settings::{CONFIG_ANNOTATION, PodSettings, Resolved, UnreadableConfig, config};
