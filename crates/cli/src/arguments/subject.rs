//! Which pods, and which configuration of the plugin.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use mesh_cni_selector::is_dns_subdomain;

use crate::cluster::ClusterArguments;
use crate::cluster::agents::AgentArguments;
use crate::failure::Failure;
use crate::node_conf;

/// Pods, and the plugin's configuration.
#[derive(Debug, Args)]
pub(crate) struct Subject {
    /// The pod: its manifest or a list of manifests, YAML or JSON, where `-` reads stdin; or the
    /// namespace and name of a pod of this node, or outside a node, of the cluster of the kubeconfig
    #[arg(long, value_name = "FILE|NAMESPACE/NAME")]
    pub(crate) pod: PodArgument,
    #[command(flatten)]
    pub(crate) conf: ConfArguments,
}

/// The plugin's configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfArguments {
    /// The plugin's configuration: its entry, or a network configuration list with it; `-` reads stdin
    /// [default: of a manifest, the defaults; of a pod of this node, the first in --cni-conf-dir; of a pod
    /// of the cluster, the entry in the chart's `ConfigMap`]
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
    /// Directory of this node's network configurations
    #[arg(
        long,
        value_name = "DIR",
        env = "MOUNTED_CNI_NET_DIR",
        hide_env_values = true,
        default_value = node_conf::DIRECTORY
    )]
    pub(crate) cni_conf_dir: PathBuf,
    /// The namespace of the agent, if the API server is asked for the pod
    #[arg(long, value_name = "NAMESPACE", default_value = AgentArguments::NAMESPACE)]
    pub(crate) agent_namespace: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

impl ConfArguments {
    /// Refuses flags that name a cluster, for a command that asks none.
    pub(crate) fn without_cluster(&self) -> Result<(), Failure> {
        if self.cluster.is_given() {
            let error = "--kubeconfig and --context require `--pod NAMESPACE/NAME`";
            return Err(Failure::wrong(error).hint("name the pod, or remove these flags"));
        }
        Ok(())
    }
}

/// The value of `--pod`: a manifest, or the name of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PodArgument {
    Manifest(PathBuf),
    Named(PodName),
}

impl From<&str> for PodArgument {
    /// A file that exists, or whose name is that of a manifest, is one.
    fn from(text: &str) -> Self {
        let path = Path::new(text);
        let extension = path.extension().and_then(OsStr::to_str);
        let is_manifest = matches!(extension, Some("yaml" | "yml" | "json")) || path.exists();
        match text.parse() {
            Ok(name) if !is_manifest => Self::Named(name),
            _ => Self::Manifest(path.to_owned()),
        }
    }
}

impl PodArgument {
    pub(crate) fn manifest(&self) -> Option<&Path> {
        match self {
            Self::Manifest(path) => Some(path),
            Self::Named(_) => None,
        }
    }
}

/// A pod's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for PodName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = text
            .split_once('/')
            .filter(|(namespace, name)| is_dns_subdomain(namespace) && is_dns_subdomain(name))
            .ok_or("expected NAMESPACE/NAME; to give a manifest, use --manifest")?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}
