//! Which traffic of a pod is redirected to its proxy.

mod effect;
mod selection;

pub use selection::{DnsCapture, InboundCapture, Mode, OutboundRanges, OwnerGroups};

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Family, Gid, InterfaceName, Port, PortRange, Uid};

use crate::conventions::is_usable;

/// What is redirected to the proxy of one pod, and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interception {
    /// How inbound traffic reaches the proxy.
    pub mode: Mode,
    /// The proxy's port for outbound connections, 15001.
    pub outbound_capture_port: Port,
    /// The proxy's port for inbound connections, 15006.
    pub inbound_capture_port: Port,
    /// The proxy's port for tunnelled connections, 15008; never redirected.
    pub tunnel_port: Port,
    /// The users of the proxy, whose traffic is not redirected.
    pub proxy_uids: Vec<Uid>,
    /// The groups of the proxy.
    pub proxy_gids: Vec<Gid>,
    /// Which inbound ports are captured.
    pub inbound: InboundCapture,
    /// Which outbound destinations are captured.
    pub outbound_ranges: OutboundRanges,
    /// Outbound destinations that are not captured.
    pub exclude_outbound_ranges: Vec<IpNetwork>,
    /// Outbound ports that are captured whatever their destination.
    pub outbound_ports: Vec<PortRange>,
    /// Outbound ports that are not captured.
    pub exclude_outbound_ports: Vec<PortRange>,
    /// Interfaces whose traffic is not redirected.
    pub exclude_interfaces: Vec<InterfaceName>,
    /// Virtual interfaces whose inbound traffic is treated as outbound traffic of the pod.
    pub reroute_interfaces: Vec<InterfaceName>,
    /// The groups whose outbound traffic is captured.
    pub owner_groups: OwnerGroups,
    /// Which DNS queries are captured.
    pub dns: DnsCapture,
    /// Whether packets that belong to no connection are dropped.
    pub drop_invalid: bool,
    /// Whether rules are written for both families if the pod has addresses of both.
    pub dual_stack: bool,
    /// The IPv4 loopback range in outbound rules, 127.0.0.1/32.
    pub ipv4_loopback: IpNetwork,
}

impl Interception {
    /// The interception of a pod without any setting.
    pub fn pod_default() -> Self {
        Self {
            inbound: InboundCapture::AllExcept(agent_ports()),
            outbound_ranges: OutboundRanges::All,
            exclude_outbound_ports: vec![STATUS_PORT.into()],
            ..Self::command_default()
        }
    }

    /// The interception of `istio-iptables` without any flag: it captures nothing.
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

    /// The loopback range in the outbound rules of that family.
    pub fn loopback(&self, family: Family) -> IpNetwork {
        match family {
            Family::V4 => self.ipv4_loopback,
            Family::V6 => family.loopback(),
        }
    }

    /// The families for which rules are written, if the pod has these addresses, in the order of its
    /// interfaces.
    ///
    /// IPv4 always. IPv6 if the first usable address is IPv6, or with dual stack any usable address.
    pub fn families(&self, addresses: &[IpAddr]) -> Vec<Family> {
        let mut usable = addresses.iter().filter(|ip| is_usable(**ip));
        let has_ipv6 = if self.dual_stack {
            usable.any(IpAddr::is_ipv6)
        } else {
            usable.next().is_some_and(IpAddr::is_ipv6)
        };
        if has_ipv6 {
            Family::ALL.to_vec()
        } else {
            vec![Family::V4]
        }
    }
}

/// The proxy's merged status and metrics port.
pub(crate) const STATUS_PORT: Port = Port::constant(15020);

/// Ports of the proxy's agent for status, health and metrics, which are never captured inbound:
/// kubelet and Prometheus connect to them.
pub(crate) fn agent_ports() -> Vec<PortRange> {
    let ports = [STATUS_PORT, Port::constant(15021), Port::constant(15090)];
    ports.map(PortRange::from).to_vec()
}
