//! Istio's ambient mode: ztunnel, the proxy of the node, listens in the namespace of each pod.
//!
//! The rules know ztunnel by the mark of its packets, 0x539, not by a user. A connection that a
//! process of the pod **opens** enters `ISTIO_OUTPUT`, which rewrites its destination to ztunnel's port
//! 15001. A connection that **arrives** enters `ISTIO_PRERT`, which rewrites its destination to port
//! 15006; port 15008, for connections of another ztunnel, is left as it is.
//!
//! ztunnel connects to the application from the address of the client. These packets arrive over `lo`
//! with its mark, so mangle `ISTIO_PRERT` marks their connection with 0x111. The answers of the
//! application have that mark again, and the policy routing delivers them to ztunnel instead of the client.

pub mod chains;

mod compile;
mod complete;
mod conventions;
mod interception;
mod settings;

pub use compile::compile;
pub(crate) use complete::incomplete;
pub use conventions::{
    CONNECTION_MARK, OWNERSHIP, PORT_NAMES, PROBE_SOURCE_V4, PROBE_SOURCE_V6, PROXY_PORTS, ROUTING,
    ZTUNNEL_MARK, is_ambient,
};
pub use interception::{EarlierConnections, Interception};
pub use settings::{Annotation, Settings};
