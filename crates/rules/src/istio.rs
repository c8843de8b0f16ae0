//! Istio, and Alibaba Cloud Service Mesh (ASM), which has Istio's sidecar.
//!
//! A connection that **arrives** enters at `PREROUTING`, which sends TCP to `ISTIO_INBOUND`. Ports
//! of the proxy itself and excluded ports return there. All others go to `ISTIO_IN_REDIRECT`, which
//! rewrites their destination to port 15006. The proxy asks the kernel for the original destination
//! (`SO_ORIGINAL_DST`), and connects to the application from 127.0.0.6.
//!
//! A connection that a local process **opens** enters at `OUTPUT`, which sends it to
//! `ISTIO_OUTPUT`. Connections of the proxy (by its user or group id) return there, unless they are
//! to the pod's own address: then they are inbound. Connections of the application to itself return
//! too, as do excluded ones. All others go to `ISTIO_REDIRECT`, which rewrites their destination to
//! port 15001.

pub mod chains;
pub mod interception;
pub mod settings;

mod compile;
mod complete;
mod conventions;

pub use compile::{Dialect, UnknownDialect, compile};
pub(crate) use complete::incomplete;
pub use conventions::{OWNERSHIP, PORT_NAMES, PROXY_PORTS, TPROXY_ROUTING};
pub use interception::Interception;
pub use settings::PodSettings;
