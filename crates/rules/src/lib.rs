//! The netfilter rules with which a service mesh redirects the traffic of a pod to its sidecar.
//!
#![doc = include_str!("../README.md")]
//!
//! # How the rules work
//!
//! Each mesh has a module: its settings, its chains, and the rules in their order. An
//! [`Interception`] is what the settings of a pod configure, in the terms of its mesh.
//!
//! The rules rewrite the destination of a connection that arrives to the sidecar's inbound port, and
//! of a connection that a local process opens to its outbound port. Connections of the sidecar itself
//! are not redirected.
//!
//! NAT applies to the first packet of a connection; connection tracking applies it to the others.

#![forbid(unsafe_code)]

pub mod ambient;
pub mod chains;
pub mod istio;
pub mod kuma;
pub mod linkerd;
pub mod value;

mod conventions;
mod interception;
mod limit;
mod reject_ipv6;
mod setting;
mod shorthand;
mod warning;

pub use conventions::{
    ANY_MESH, compared, difference, inbound_passthrough, incomplete, is_usable, meshes_in,
    other_meshes, ownership, ownership_of, port_names, proxy_ports, proxy_sender, redirects,
    uses_passthrough,
};
pub use interception::Interception;
pub use limit::{MAX_RULES, TooManyRules};
pub use mesh_cni_selector::Mesh;
pub use reject_ipv6::reject_ipv6;
pub use setting::{InvalidSetting, SettingName};
pub use warning::{Warning, WarningCode};
