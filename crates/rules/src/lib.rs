//! The netfilter rules with which a service mesh redirects the traffic of a pod to its sidecar.
//!
#![doc = include_str!("../README.md")]
//!
//! # How the rules work
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
//!
//! NAT applies to the first packet of a connection; connection tracking applies it to the others.

#![forbid(unsafe_code)]

pub mod chains;
pub mod interception;
pub mod settings;
pub mod value;

mod compile;
mod complete;
mod conventions;
mod warning;

pub use compile::{Dialect, UnknownDialect, compile, reject_ipv6};
pub use complete::incomplete;
pub use conventions::{
    OWNERSHIP, PORT_NAMES, PROXY_PORTS, TPROXY_ROUTING, inbound_passthrough, redirects,
};
pub use interception::Interception;
pub use settings::PodSettings;
pub use warning::{Warning, WarningCode};
