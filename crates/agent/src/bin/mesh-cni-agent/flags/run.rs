//! The flags of `run`.

use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, ValueEnum};
use mesh_cni_agent::{ApiAccess, LogFormat, ServiceSettings};

use super::InstallationFlags;
use super::ambient::AmbientFlags;
use super::repair::RepairFlags;
use crate::failure::Failure;

/// Run the service: install the plugin and keep it installed, answer the plugin's requests for pods
///
/// The service watches the pods of the node, and serves health and metrics. Its socket also serves a
/// page for people. SIGTERM stops it; everything stays installed.
#[derive(Args)]
#[command(
    after_help = "Example: mesh-cni-agent run --node-name worker-1 --exclude-namespaces kube-system \
                        --health-addr 127.0.0.1:8000"
)]
pub(crate) struct Run {
    #[command(flatten)]
    installation: InstallationFlags,
    /// Install the plugin and keep it installed; `false` if another program does it
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    install: bool,
    #[command(flatten)]
    service: ServiceFlags,
    #[command(flatten)]
    repair: RepairFlags,
    #[command(flatten)]
    ambient: AmbientFlags,
}

#[derive(Args)]
#[command(next_help_heading = "The service")]
struct ServiceFlags {
    /// The name of this node, as in spec.nodeName of its pods
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node_name: String,
    /// The address of /healthz and /readyz, or `off`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    health_addr: Address,
    /// The address of /metrics, or `off`; with an address of the node other machines can read it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:15014")]
    metrics_addr: Address,
    /// The kubeconfig of this process [default: the service account of its pod]
    #[arg(long, value_name = "FILE")]
    api_kubeconfig: Option<PathBuf>,
    /// The format of the log on stdout
    #[arg(long, env = "LOG_FORMAT", value_enum, value_name = "FORMAT", default_value_t = LogFlag::Text)]
    log_format: LogFlag,
    /// The host's /proc, as this process sees it
    #[arg(long, env = "HOST_PROC", value_name = "DIR", default_value = "/proc")]
    proc_dir: PathBuf,
    /// Remove the taint with this key from this node whenever the agent is ready [without a key:
    /// mesh-cni/not-ready]
    #[arg(
        long,
        value_name = "KEY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "mesh-cni/not-ready"
    )]
    taint: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFlag {
    /// Text for people
    Text,
    /// One JSON object per line
    Json,
}

/// An address to listen on; `None` for `off`. An IPv6 address needs no brackets, because Kubernetes
/// writes a pod's address without them.
#[derive(Clone, Copy)]
struct Address(Option<SocketAddr>);

impl FromStr for Address {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let without_brackets = text.rsplit_once(':').and_then(|(address, port)| {
            let address: IpAddr = address.parse().ok()?;
            Some(SocketAddr::new(address, port.parse().ok()?))
        });
        let address = without_brackets.map_or_else(|| text.parse(), Ok)?;
        Ok(Self(Some(address)))
    }
}

impl Run {
    pub(crate) fn settings(&self) -> Result<ServiceSettings, Failure> {
        let install = self.installation.settings()?;
        let flags = &self.service;
        let conf = install.entry.conf().clone();
        let mut settings = ServiceSettings::new(flags.node_name.clone(), conf);
        settings.run_dir.clone_from(&install.paths.run_dir);
        settings.install = self.install.then_some(install);
        settings.health_addr = flags.health_addr.0;
        settings.metrics_addr = flags.metrics_addr.0;
        if let Some(path) = &flags.api_kubeconfig {
            settings.api = ApiAccess::Kubeconfig(path.clone());
        }
        settings.log_format = match flags.log_format {
            LogFlag::Text => LogFormat::Text,
            LogFlag::Json => LogFormat::Json,
        };
        settings.proc.clone_from(&flags.proc_dir);
        settings.taint.clone_from(&flags.taint);
        settings.repair = self.repair.settings()?;
        settings.ambient = self.ambient.settings();
        Ok(settings)
    }
}
