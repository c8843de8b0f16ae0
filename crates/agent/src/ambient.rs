//! Ambient mode: ztunnel, the proxy of the node, serves pods without sidecars.
//!
//! For each pod the agent compares what should exist with what exists, and carries out one step after the
//! other. `step` decides and is pure; `server` owns the ledger and `advance` carries out; `kernel` enters namespaces;
//! `hand_over` receives the namespaces of pods that start; `ztunnels` is the server of ztunnel's protocol.

mod advance;
mod annotation;
mod entry;
mod hand_over;
mod kernel;
mod ledger;
mod listener;
mod probe_tables;
mod problem;
mod records;
mod server;
mod sockets;
mod states;
mod step;
mod task;
mod wanted;
mod ztunnels;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use mesh_cni_rules::ambient::{PROBE_SOURCE_V4, PROBE_SOURCE_V6};

pub(crate) use probe_tables::remove_unused as remove_unused_probe_tables;
pub(crate) use problem::{Cause, OpenProblem};
pub(crate) use server::Server;
pub(crate) use states::AmbientStates;

/// The time between two checks of everything.
const ROUND: Duration = Duration::from_secs(30);

/// The pause after an error of a socket, and after a refusal of a ztunnel.
const PAUSE: Duration = Duration::from_secs(1);

/// The settings of ambient mode.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AmbientSettings {
    /// The socket to which ztunnels connect.
    pub ztunnel_socket: PathBuf,
    /// The source addresses of probes, at most one for each family.
    pub probe_sources: Vec<IpAddr>,
}

impl Default for AmbientSettings {
    /// Those of Istio CNI.
    fn default() -> Self {
        Self {
            ztunnel_socket: PathBuf::from("/var/run/ztunnel/ztunnel.sock"),
            probe_sources: vec![PROBE_SOURCE_V4.into(), PROBE_SOURCE_V6.into()],
        }
    }
}
