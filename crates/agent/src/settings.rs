//! What an operator asks of the long-running agent.

use std::net::SocketAddr;
use std::path::PathBuf;

use mesh_cni_plan::MeshConf;

use crate::log::LogFormat;
use crate::repair::RepairSettings;
use mesh_cni_installer::Settings;

/// The settings of a service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceSettings {
    /// What is installed and kept in place; `None` where something else installs.
    pub install: Option<Settings>,
    /// The plugin's configuration as it is installed: it says which pods are redirected, and
    /// whether pods must be known at all.
    pub conf: MeshConf,
    /// The node's name, as `spec.nodeName` has it.
    pub node_name: String,
    /// The directory of the socket, as this process sees it.
    pub run_dir: PathBuf,
    /// Where `/healthz`, `/readyz` and the page are served, if at all.
    pub health_addr: Option<SocketAddr>,
    /// Where `/metrics` is served, if at all.
    pub metrics_addr: Option<SocketAddr>,
    /// The way to the API server.
    pub api: ApiAccess,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Where the processes of the node are seen, for the live rules of its pods.
    pub proc: PathBuf,
    /// How pods are repaired that started without the plugin, if at all.
    pub repair: Option<RepairSettings>,
    /// The key of the taint that the agent takes off its node when it is ready, if any.
    pub taint: Option<String>,
}

/// The way to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiAccess {
    /// As a pod has it: environment, mounted token and certificate.
    InCluster,
    /// A kubeconfig.
    Kubeconfig(PathBuf),
}

impl ServiceSettings {
    /// The settings of that node, everything else as it is by default.
    pub fn new(node_name: String, conf: MeshConf) -> Self {
        let local = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        Self {
            install: None,
            run_dir: conf.cni_agent_run_dir.clone(),
            conf,
            node_name,
            health_addr: local(8000),
            metrics_addr: local(15014),
            api: ApiAccess::InCluster,
            log_format: LogFormat::Text,
            proc: PathBuf::from("/proc"),
            repair: None,
            taint: None,
        }
    }
}
