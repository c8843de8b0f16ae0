//! The parts of an interception that select all, some or none.

use std::net::IpAddr;
use std::str::FromStr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::value::InvalidValue;
use mesh_cni_netfilter::{Gid, PolicyRouting, PortRange};

use crate::istio::conventions::TPROXY_ROUTING;

/// How inbound connections reach the proxy (`sidecar.istio.io/interceptionMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With a rewritten destination (`REDIRECT`). The application sees the proxy as the source.
    Redirect,
    /// Unchanged (`TPROXY`), which preserves the source address.
    Tproxy(PolicyRouting),
}

/// Which inbound ports are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboundCapture {
    /// None.
    None,
    /// All ports but these.
    AllExcept(Vec<PortRange>),
    /// Only these; excluded ports are ignored.
    Only(Vec<PortRange>),
}

/// Which outbound destinations are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundRanges {
    /// All addresses.
    All,
    /// Only these ranges; empty for none.
    Only(Vec<IpNetwork>),
}

/// Whose outbound traffic is captured, by the group of the sending process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerGroups {
    /// All.
    All,
    /// Only these groups.
    Only(Vec<Gid>),
    /// All groups but these.
    Except(Vec<Gid>),
}

/// Which DNS queries are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsCapture {
    /// None.
    Off,
    /// All queries.
    All,
    /// Queries to these servers.
    Servers(Vec<IpAddr>),
}

impl Mode {
    /// The valid modes, as an error message describes them.
    pub const EXPECTED: &'static str = "an interception mode: allowed are `REDIRECT` and `TPROXY`";
}

impl FromStr for Mode {
    type Err = InvalidValue;

    /// Parses a mode, in capital letters only, as in Istio.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "REDIRECT" => Ok(Self::Redirect),
            "TPROXY" => Ok(Self::Tproxy(TPROXY_ROUTING)),
            _ => Err(InvalidValue {
                expected: Self::EXPECTED,
            }),
        }
    }
}

impl InboundCapture {
    /// These ports; [`None`](Self::None) if there are none.
    pub fn only(ports: Vec<PortRange>) -> Self {
        if ports.is_empty() {
            Self::None
        } else {
            Self::Only(ports)
        }
    }
}
