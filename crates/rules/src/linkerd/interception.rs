//! Which traffic of a pod is redirected to Linkerd's proxy.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Family, Gid, Port, PortRange, Uid};

/// What is redirected to the proxy of one pod, and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interception {
    /// The proxy's port for inbound connections, 4143.
    pub inbound_port: Port,
    /// The proxy's port for outbound connections, 4140.
    pub outbound_port: Port,
    /// The user of the proxy, whose traffic is not redirected, 2102.
    pub proxy_uid: Option<Uid>,
    /// The group of the proxy.
    pub proxy_gid: Option<Gid>,
    /// The inbound ports that are redirected; all if the list is empty.
    pub redirected_ports: Vec<PortRange>,
    /// Inbound ports that are not redirected, in the order of the rules.
    pub skipped_inbound_ports: Vec<PortRange>,
    /// Outbound ports that are not redirected, in the order of the rules.
    pub skipped_outbound_ports: Vec<PortRange>,
    /// Sources whose inbound connections are not redirected, as they were written: with host bits.
    pub skipped_inbound_subnets: Vec<IpNetwork>,
    /// Destinations to which outbound connections are not redirected, as they were written.
    pub skipped_outbound_subnets: Vec<IpNetwork>,
    /// Whether rules are written for IPv6 too.
    pub ipv6: bool,
}

impl Interception {
    /// The interception of a pod without settings, with the defaults of Linkerd's Helm chart for its
    /// plugin.
    pub fn pod_default() -> Self {
        let (control, admin) = (Port::constant(4190), Port::constant(4191));
        Self {
            proxy_uid: Some(Uid(2102)),
            skipped_inbound_ports: vec![admin.into(), control.into()],
            ..Self::command_default()
        }
    }

    /// The interception of `linkerd2-proxy-init` with only the two ports, which it requires.
    pub fn command_default() -> Self {
        Self {
            inbound_port: Port::constant(4143),
            outbound_port: Port::constant(4140),
            proxy_uid: None,
            proxy_gid: None,
            redirected_ports: Vec::new(),
            skipped_inbound_ports: Vec::new(),
            skipped_outbound_ports: Vec::new(),
            skipped_inbound_subnets: Vec::new(),
            skipped_outbound_subnets: Vec::new(),
            ipv6: false,
        }
    }

    /// The families for which rules are written, whatever the pod's addresses.
    pub fn families(&self) -> Vec<Family> {
        if self.ipv6 {
            Family::ALL.to_vec()
        } else {
            vec![Family::V4]
        }
    }
}
