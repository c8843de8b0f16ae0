//! The settings of the service.

use std::net::SocketAddr;
use std::path::PathBuf;

use mesh_cni_installer::Settings;
use mesh_cni_kube::access::ApiAccess;
use mesh_cni_plan::MeshConf;

use crate::ambient::AmbientSettings;
use crate::http::limits::Limits;
use crate::log::LogFormat;
use crate::repair::RepairSettings;

/// The settings of the service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceSettings {
    /// What to install and keep installed; `None` if another program does it.
    pub install: Option<Settings>,
    /// The plugin's configuration. It decides which pods are redirected, and whether the agent must
    /// know pods at all.
    pub conf: MeshConf,
    /// The node's name, as in `spec.nodeName` of its pods.
    pub node_name: String,
    /// The directory of the socket, as this process sees it.
    pub run_dir: PathBuf,
    /// Where to serve `/healthz` and `/readyz`; `None` disables it.
    pub health_addr: Option<SocketAddr>,
    /// Where to serve `/metrics`; `None` disables it.
    pub metrics_addr: Option<SocketAddr>,
    /// How to connect to the API server.
    pub api: ApiAccess,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// The directory where the processes of the node are visible, usually `/proc`.
    pub proc: PathBuf,
    /// How to repair pods that started without rules; `None` disables it.
    pub repair: Option<RepairSettings>,
    /// How to serve pods in ambient mode; `None` disables it.
    pub ambient: Option<AmbientSettings>,
    /// The key of the taint to remove from the node when the agent is ready.
    pub taint: Option<String>,
    /// The limits of the socket and the ports.
    pub limits: Limits,
}

impl ServiceSettings {
    /// The settings for that node, with defaults for everything else.
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
            ambient: None,
            taint: None,
            limits: Limits::default(),
        }
    }
}
