//! The flags of ambient mode, with the names of Istio CNI.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use clap::{ArgAction, Args};
use mesh_cni_agent::AmbientSettings;

#[derive(Args)]
#[command(next_help_heading = "Ambient mode")]
pub(super) struct AmbientFlags {
    /// Serve pods in ambient mode: pass their namespaces to ztunnel, and keep them served
    #[arg(
        long,
        env = "AMBIENT_ENABLED",
        value_name = "BOOL",
        default_value_t = false,
        action = ArgAction::Set
    )]
    ambient_enabled: bool,
    /// The socket to which ztunnel connects
    #[arg(
        long,
        env = "ZTUNNEL_UDS_ADDRESS",
        value_name = "PATH",
        default_value = "/var/run/ztunnel/ztunnel.sock"
    )]
    ztunnel_uds_address: PathBuf,
    /// The source address of the node's probes of pods in ambient mode
    #[arg(
        long,
        env = "HOST_PROBE_SNAT_IP",
        value_name = "ADDRESS",
        default_value = "169.254.7.127"
    )]
    host_probe_snat_ip: Ipv4Addr,
    /// The same for IPv6
    #[arg(
        long,
        env = "HOST_PROBE_SNAT_IPV6",
        value_name = "ADDRESS",
        default_value = "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"
    )]
    host_probe_snat_ipv6: Ipv6Addr,
}

impl AmbientFlags {
    pub(super) fn settings(&self) -> Option<AmbientSettings> {
        let mut settings = AmbientSettings::default();
        settings
            .ztunnel_socket
            .clone_from(&self.ztunnel_uds_address);
        settings.probe_sources = vec![
            self.host_probe_snat_ip.into(),
            self.host_probe_snat_ipv6.into(),
        ];
        self.ambient_enabled.then_some(settings)
    }
}
