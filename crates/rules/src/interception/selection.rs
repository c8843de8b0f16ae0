//! The choices that a setting can make: all, some, none.

use std::net::IpAddr;

use crate::conventions::TPROXY_ROUTING;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::PolicyRouting;
use mesh_cni_netfilter::value::{Gid, Port};

/// How inbound connections reach the proxy (`sidecar.istio.io/interceptionMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Their destination is rewritten (`REDIRECT`); the proxy sees itself as the destination
    /// and its own node as the source of what it passes on.
    Redirect,
    /// They are handed over unchanged (`TPROXY`), which keeps the source address.
    Tproxy(PolicyRouting),
}

/// Which inbound ports are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboundCapture {
    /// None.
    None,
    /// Every port but these.
    AllExcept(Vec<Port>),
    /// Only these; exclusions do not apply.
    Only(Vec<Port>),
}

/// Which outbound destinations are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundRanges {
    /// Every address.
    All,
    /// Only these ranges; empty for none.
    Only(Vec<IpNetwork>),
}

/// Whose outbound traffic is captured, by the group of the sending process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerGroups {
    /// Everyone's.
    All,
    /// Only that of these groups.
    Only(Vec<Gid>),
    /// That of all but these.
    Except(Vec<Gid>),
}

/// Which DNS queries are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsCapture {
    /// None.
    Off,
    /// Every query.
    All,
    /// Queries to these servers.
    Servers(Vec<IpAddr>),
}

impl Mode {
    /// What a mode has to look like.
    pub const EXPECTED: &'static str = "an interception mode: allowed are `REDIRECT` and `TPROXY`";

    /// Reads a mode; capital letters only, as in Istio.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "REDIRECT" => Some(Self::Redirect),
            "TPROXY" => Some(Self::Tproxy(TPROXY_ROUTING)),
            _ => None,
        }
    }
}

impl InboundCapture {
    /// These ports, or none where the list is empty.
    pub fn only(ports: Vec<Port>) -> Self {
        if ports.is_empty() {
            Self::None
        } else {
            Self::Only(ports)
        }
    }
}
