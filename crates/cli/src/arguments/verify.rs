//! The flags of `verify`.

use std::path::PathBuf;

use clap::Args;

use super::{ConfArguments, Output, PodName, ProcDir};
use crate::cluster::agents::AgentArguments;

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) proc: ProcDir,
    /// The pod's manifest, YAML or JSON; `-` reads stdin [default: from the node's pod source]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) conf: ConfArguments,
    /// Directory of the container runtime's CNI cache, which records the network namespace of each
    /// sandbox
    #[arg(long, value_name = "DIR", default_value = "/var/lib/cni")]
    pub(crate) cni_cache_dir: PathBuf,
    /// The label selector of the agent's pods, one of which compares the rules of a pod of the cluster
    #[arg(long, value_name = "LABELS", default_value = AgentArguments::SELECTOR)]
    pub(crate) agent_selector: String,
    /// Print only the verdict, not the live rules
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Where the live rules are.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// Path of a network namespace, such as /run/netns/NAME
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: Option<PathBuf>,
    /// Process in the network namespace
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// Container or sandbox in the network namespace, of any runtime: `containerd://ID`,
    /// `docker://ID`, `cri-o://ID`, or the first digits of an ID
    #[arg(long, value_name = "ID")]
    pub(crate) container: Option<String>,
    /// Pod that runs on this node, or outside a node, in the cluster of the kubeconfig: the agent of its
    /// node compares
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) pod: Option<PodName>,
    /// Every pod of this node: one line each, then the differences
    #[arg(long, conflicts_with = "manifest")]
    pub(crate) all: bool,
}
