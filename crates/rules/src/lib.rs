//! Sidecar traffic interception as netfilter rules: compile, render, read back and compare.
//!
//! A service mesh runs an Envoy beside the application, in the pod's own network namespace, and
//! netfilter rules there send the pod's traffic through it. This crate knows those rules. It does
//! no I/O: the same input always gives the same bytes, and it fails on its input alone.
//!
//! # The life of a packet in four chains
//!
//! A connection that **arrives** meets `PREROUTING`, which sends TCP to `ISTIO_INBOUND`. Ports
//! that the proxy serves itself or that the pod excludes return there; everything else goes to
//! `ISTIO_IN_REDIRECT`, which rewrites its destination to port 15006. The proxy asks the kernel
//! for the original destination (`SO_ORIGINAL_DST`), does its work, and connects to the
//! application from 127.0.0.6.
//!
//! A connection that a process in the pod **opens** meets `OUTPUT`, which sends it to
//! `ISTIO_OUTPUT`. What the proxy itself sends (known by its user or group id) goes out
//! unchanged, unless it is for the pod's own address: then it is inbound again. What an
//! application sends to itself, and what the pod excludes, goes as addressed. The rest goes to
//! `ISTIO_REDIRECT`, which rewrites its destination to port 15001.
//!
//! NAT applies to the first packet of a connection; the rest follows by connection tracking.
//!
//! # From settings to text
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use mesh_cni_netfilter::ruleset::{Family, TableName};
//! use mesh_cni_netfilter::{Listing, render};
//! use mesh_cni_rules::{Dialect, OWNERSHIP, PodSettings, compile};
//!
//! let key = "traffic.sidecar.istio.io/excludeOutboundIPRanges".to_owned();
//! let annotations = BTreeMap::from([(key, "192.168.0.1/32".to_owned())]);
//! let settings = PodSettings {
//!     annotations: Some(&annotations),
//!     ..PodSettings::default()
//! };
//! let resolved = settings.resolve()?;
//! let rules = compile(&resolved.interception, Dialect::Asm, Family::V4);
//!
//! assert!(render::restore(&rules).contains("-A ISTIO_OUTPUT -d 192.168.0.1/32 -j RETURN"));
//! println!("{}", Listing::of(&rules, TableName::Nat, &OWNERSHIP));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod chains;
pub mod interception;
pub mod settings;
pub mod value;

mod compile;
mod conventions;

pub use compile::{Dialect, UnknownDialect, compile};
pub use conventions::{OWNERSHIP, PORT_NAMES, TPROXY_ROUTING, inbound_passthrough};
pub use interception::Interception;
pub use settings::PodSettings;
