//! Which traffic of a Kuma pod is redirected to its proxy.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::value::IdRange;
use mesh_cni_netfilter::{Family, InterfaceName, Port, PortRange, Protocol, RuleSet, Uid};

use crate::conventions::is_usable;
use crate::istio::interception::DnsCapture;

/// What is redirected to the proxy of one pod, and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interception {
    /// The user of the proxy, 5678.
    pub proxy_uid: Uid,
    /// Whether rules are written for IPv6 too if the pod has an IPv6 address.
    pub dual_stack: bool,
    /// Inbound connections.
    pub inbound: Flow,
    /// Outbound connections.
    pub outbound: Flow,
    /// Outbound traffic that is not captured if a process of these users sends it.
    pub excluded_users: Vec<UserExclusion>,
    /// Which DNS queries over UDP are captured.
    pub dns: DnsCapture,
    /// The proxy's port for DNS queries, 15053.
    pub dns_port: Port,
    /// Whether the queries of the proxy and those of the application have separate conntrack zones.
    pub separate_zones: bool,
    /// Virtual networks inside the pod, such as a bridge with containers, in the order of their names.
    pub virtual_networks: Vec<VirtualNetwork>,
    /// Whether packets that belong to no connection are dropped.
    pub drop_invalid: bool,
    /// The level with which the kernel logs packets at the beginning of `PREROUTING` and `OUTPUT`;
    /// `None` to log none.
    pub log_level: Option<u8>,
}

/// What is captured in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flow {
    /// Whether anything is captured.
    pub enabled: bool,
    /// The proxy's port.
    pub port: Port,
    /// The only ports that are captured; empty for all. With included ports, excluded ones are ignored.
    pub include_ports: Vec<Port>,
    /// Ports that are not captured.
    pub exclude_ports: Vec<Port>,
    /// Addresses whose traffic is not captured: sources of inbound, destinations of outbound traffic.
    pub exclude_networks: Vec<IpNetwork>,
    /// Whether the jump to Kuma's chain is inserted before other rules and not appended.
    pub insert: bool,
}

/// Traffic of users that is not captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserExclusion {
    /// The protocol.
    pub protocol: Protocol,
    /// The destination ports, at most 15; a range counts as two.
    pub ports: Vec<PortRange>,
    /// The users.
    pub users: IdRange<Uid>,
}

/// A virtual network inside the pod, whose outbound traffic is captured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualNetwork {
    /// The interface, or with a final `+` the beginning of the names of interfaces.
    pub interface: InterfaceName,
    /// The addresses of the network itself.
    pub network: IpNetwork,
}

impl Interception {
    /// The interception of a pod without any setting.
    pub fn pod_default() -> Self {
        Self {
            proxy_uid: Uid(5678),
            dual_stack: true,
            inbound: Flow::to(Port::constant(15006)),
            outbound: Flow::to(Port::constant(15001)),
            excluded_users: Vec::new(),
            dns: DnsCapture::Off,
            dns_port: Port::constant(15053),
            separate_zones: true,
            virtual_networks: Vec::new(),
            drop_invalid: false,
            log_level: None,
        }
    }

    /// The families for which rules are written, if the pod has these addresses: IPv4 always, IPv6 if
    /// any usable address is IPv6 and the pod does not restrict the mesh to IPv4.
    ///
    /// Kuma's own plugin also writes IPv6 rules for a pod that has only a link-local IPv6 address.
    pub fn families(&self, addresses: &[IpAddr]) -> Vec<Family> {
        let mut usable = addresses.iter().filter(|ip| is_usable(**ip));
        if self.dual_stack && usable.any(IpAddr::is_ipv6) {
            Family::ALL.to_vec()
        } else {
            vec![Family::V4]
        }
    }

    /// The rules for one family, in Kuma's order.
    pub fn compile(&self, family: Family) -> RuleSet {
        super::compile::compile(self, family)
    }
}

impl Flow {
    fn to(port: Port) -> Self {
        Self {
            enabled: true,
            port,
            include_ports: Vec::new(),
            exclude_ports: Vec::new(),
            exclude_networks: Vec::new(),
            insert: false,
        }
    }
}
