//! Interception — which traffic of a pod goes to its proxy, in typed values.

mod selection;

pub use selection::{DnsCapture, InboundCapture, Mode, OutboundRanges, OwnerGroups};

use std::net::IpAddr;

use crate::conventions::inbound_passthrough;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::{Gid, InterfaceName, Port, Uid};

/// What is redirected for one pod, and what is not.
///
/// [`Interception::pod_default`] is what a pod without any setting gets,
/// [`Interception::command_default`] what the `istio-iptables` flags default to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interception {
    /// How inbound traffic reaches the proxy.
    pub mode: Mode,
    /// Where the proxy takes outbound connections, 15001.
    pub outbound_capture_port: Port,
    /// Where the proxy takes inbound connections, 15006.
    pub inbound_capture_port: Port,
    /// Where the proxy takes tunnelled connections itself, 15008; never redirected.
    pub tunnel_port: Port,
    /// The users as which the proxy runs; its own traffic is not redirected.
    pub proxy_uids: Vec<Uid>,
    /// The groups as which the proxy runs.
    pub proxy_gids: Vec<Gid>,
    /// Which inbound ports are captured.
    pub inbound: InboundCapture,
    /// Which outbound destinations are captured.
    pub outbound_ranges: OutboundRanges,
    /// Outbound destinations that are not captured.
    pub exclude_outbound_ranges: Vec<IpNetwork>,
    /// Outbound ports that are captured whatever their destination.
    pub outbound_ports: Vec<Port>,
    /// Outbound ports that are not captured.
    pub exclude_outbound_ports: Vec<Port>,
    /// Interfaces whose traffic is left alone.
    pub exclude_interfaces: Vec<InterfaceName>,
    /// Virtual interfaces whose inbound traffic counts as the pod's outbound traffic.
    pub reroute_interfaces: Vec<InterfaceName>,
    /// Whose outbound traffic is captured, by group.
    pub owner_groups: OwnerGroups,
    /// Which DNS queries are captured.
    pub dns: DnsCapture,
    /// Whether packets that belong to no connection are dropped.
    pub drop_invalid: bool,
    /// Whether a pod with addresses of both families is programmed for both.
    pub dual_stack: bool,
    /// What counts as the IPv4 loopback in outbound rules, 127.0.0.1/32.
    pub ipv4_loopback: IpNetwork,
}

impl Interception {
    /// What a pod gets whose annotations and proxy say nothing.
    pub fn pod_default() -> Self {
        Self {
            inbound: InboundCapture::AllExcept(agent_ports()),
            outbound_ranges: OutboundRanges::All,
            exclude_outbound_ports: vec![STATUS_PORT],
            ..Self::command_default()
        }
    }

    /// What `istio-iptables` captures when it is given no flag: nothing.
    pub fn command_default() -> Self {
        Self {
            mode: Mode::Redirect,
            outbound_capture_port: Port::constant(15001),
            inbound_capture_port: Port::constant(15006),
            tunnel_port: Port::constant(15008),
            proxy_uids: vec![Uid(1337)],
            proxy_gids: vec![Gid(1337)],
            inbound: InboundCapture::None,
            outbound_ranges: OutboundRanges::Only(Vec::new()),
            exclude_outbound_ranges: Vec::new(),
            outbound_ports: Vec::new(),
            exclude_outbound_ports: Vec::new(),
            exclude_interfaces: Vec::new(),
            reroute_interfaces: Vec::new(),
            owner_groups: OwnerGroups::All,
            dns: DnsCapture::Off,
            drop_invalid: false,
            dual_stack: false,
            ipv4_loopback: Family::V4.loopback(),
        }
    }

    /// What counts as loopback in the outbound rules of that family.
    pub fn loopback(&self, family: Family) -> IpNetwork {
        match family {
            Family::V4 => self.ipv4_loopback,
            Family::V6 => family.loopback(),
        }
    }

    /// The families to program for a pod with these addresses, in the order of its interfaces.
    ///
    /// IPv4 always. IPv6 where the first usable address is IPv6 or, with dual stack, any is.
    /// Loopback and link-local addresses are not usable.
    pub fn families(&self, addresses: &[IpAddr]) -> Vec<Family> {
        let usable: Vec<_> = addresses.iter().filter(|ip| is_usable(**ip)).collect();
        let six = if self.dual_stack {
            usable.iter().any(|ip| ip.is_ipv6())
        } else {
            usable.first().is_some_and(|ip| ip.is_ipv6())
        };
        if six {
            Family::ALL.to_vec()
        } else {
            vec![Family::V4]
        }
    }
}

/// The proxy's merged status and metrics port.
pub(crate) const STATUS_PORT: Port = Port::constant(15020);

/// Ports of the proxy's agent (status, health, metrics), which kubelet and Prometheus reach
/// directly: never captured inbound.
pub(crate) fn agent_ports() -> Vec<Port> {
    vec![STATUS_PORT, Port::constant(15021), Port::constant(15090)]
}

/// Whether a pod can be reached by that address: loopback and link-local ones do not count, nor does
/// `::6`, which the rules give to `lo` for the proxy alone.
pub fn is_usable(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    let passthrough = inbound_passthrough(Family::of_address(address));
    !link_local
        && address != passthrough.ip()
        && !address.is_loopback()
        && !address.is_unspecified()
}
