//! The choices that a setting can make: all, some, none.

use std::net::IpAddr;

use crate::value::{Gid, Port};
use ipnetwork::IpNetwork;

/// How inbound connections reach the proxy (`sidecar.istio.io/interceptionMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Their destination is rewritten (`REDIRECT`); the proxy sees itself as the destination
    /// and its own node as the source of what it passes on.
    Redirect,
    /// They are handed over unchanged (`TPROXY`), which keeps the source address.
    Tproxy(TproxyRouting),
}

/// The mark and the routing table by which a TPROXY packet is delivered locally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TproxyRouting {
    /// The packet mark, 1337.
    pub mark: u32,
    /// The routing table, 133.
    pub table: u32,
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

impl TproxyRouting {
    /// Mark 1337, table 133: what Istio uses.
    pub const ISTIO: Self = Self {
        mark: 1337,
        table: 133,
    };

    /// The mark of what the proxy sends to the pod's own address: the next one, 1338.
    pub fn outbound_mark(self) -> u32 {
        self.mark.wrapping_add(1)
    }
}

impl Mode {
    /// What a mode has to look like.
    pub const EXPECTED: &'static str = "an interception mode: allowed are `REDIRECT` and `TPROXY`";

    /// Reads a mode; capital letters only, as in Istio.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "REDIRECT" => Some(Self::Redirect),
            "TPROXY" => Some(Self::Tproxy(TproxyRouting::ISTIO)),
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
