//! Which traffic of a pod goes to ztunnel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Family, InterfaceName};

use super::conventions::{PROBE_SOURCE_V4, PROBE_SOURCE_V6};
use crate::conventions::is_usable;

/// What goes to ztunnel, and what does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interception {
    /// DNS queries go to ztunnel.
    pub dns: bool,
    /// Connections that arrive in plaintext go to the application, not to ztunnel.
    pub bypass_inbound: bool,
    /// Interfaces of virtual machines: connections that arrive from them are outbound.
    pub reroute_interfaces: Vec<InterfaceName>,
    /// The source addresses of the node's probes, which go to the application.
    pub probe_sources: (Ipv4Addr, Ipv6Addr),
    /// Whether a pod with an IPv6 address gets IPv6 rules too.
    pub ipv6: bool,
    /// Connections from before the rules.
    pub earlier_connections: EarlierConnections,
}

/// What happens to TCP connections that are older than the rules.
///
/// The first rules of a namespace activate its connection tracking. It knows no earlier connection, so
/// it takes the next packet of each for a new one, which the rules redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlierConnections {
    /// They are reset, as with Istio's agent. Those that connection tracking knows continue past ztunnel.
    #[default]
    Reset,
    /// They continue past ztunnel: only packets that open a connection are redirected.
    Keep,
}

impl Default for Interception {
    fn default() -> Self {
        Self {
            dns: true,
            bypass_inbound: false,
            reroute_interfaces: Vec::new(),
            probe_sources: (PROBE_SOURCE_V4, PROBE_SOURCE_V6),
            ipv6: true,
            earlier_connections: EarlierConnections::default(),
        }
    }
}

impl Interception {
    /// The families for which rules are written: IPv4, and [IPv6](Self::ipv6) if the pod has an IPv6
    /// address that others can reach.
    pub fn families(&self, addresses: &[IpAddr]) -> Vec<Family> {
        let mut usable = addresses.iter().filter(|address| is_usable(**address));
        let ipv6 = (self.ipv6 && usable.any(IpAddr::is_ipv6)).then_some(Family::V6);
        [Family::V4].into_iter().chain(ipv6).collect()
    }

    /// The source address of probes in that family.
    pub(super) fn probe_source(&self, family: Family) -> IpNetwork {
        let (v4, v6) = self.probe_sources;
        match family {
            Family::V4 => IpAddr::V4(v4).into(),
            Family::V6 => IpAddr::V6(v6).into(),
        }
    }
}
