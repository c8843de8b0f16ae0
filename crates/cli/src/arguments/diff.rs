//! The flags of `diff`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::Output;
use crate::cluster::ClusterArguments;
use crate::cluster::agents::AgentArguments;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").required(true))]
pub(crate) struct DiffArguments {
    /// The new configuration: the plugin's entry, or a network configuration list with it; `-` reads
    /// stdin [default with --rules-old: the installed configuration]
    #[arg(long, value_name = "FILE", required_unless_present = "rules_old")]
    pub(crate) conf: Option<PathBuf>,
    /// The old configuration [default: the installed one, which is with -A and -n the entry in the chart's
    /// `ConfigMap`, otherwise the first in --cni-conf-dir, else the defaults]
    #[arg(long, value_name = "FILE")]
    pub(crate) conf_old: Option<PathBuf>,
    /// Compare with what another release does with the same pods, which its `mesh-cnictl render --output
    /// json` printed
    #[arg(long, value_name = "FILE", conflicts_with = "conf_old")]
    pub(crate) rules_old: Option<PathBuf>,
    /// Directory of this node's network configurations, from which the installed one is read [default:
    /// with --pods, /etc/cni/net.d]
    #[arg(long, value_name = "DIR")]
    pub(crate) cni_conf_dir: Option<PathBuf>,
    /// The namespace of the agent, where the chart's `ConfigMap` is
    #[arg(long, value_name = "NAMESPACE", default_value = AgentArguments::NAMESPACE)]
    pub(crate) agent_namespace: String,
    /// Compare the pods of all namespaces of the cluster
    #[arg(short = 'A', long, group = "whose")]
    pub(crate) all_namespaces: bool,
    /// Compare the pods of this namespace of the cluster
    #[arg(short, long, value_name = "NAMESPACE", group = "whose")]
    pub(crate) namespace: Option<String>,
    /// Compare the pods in a manifest or a list of manifests, YAML or JSON; `-` reads stdin
    #[arg(long, value_name = "FILE", group = "whose")]
    pub(crate) pods: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Print all names, and the rules of pods whose decision changes
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
