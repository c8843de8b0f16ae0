//! The flags of `diff`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::Output;
use crate::cluster::ClusterArguments;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").required(true))]
pub(crate) struct DiffArguments {
    /// The new configuration: the plugin's entry, or a network configuration list with it; `-` reads
    /// stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: PathBuf,
    /// The old configuration [default: the first in --cni-conf-dir, else the defaults]
    #[arg(long, value_name = "FILE")]
    pub(crate) conf_old: Option<PathBuf>,
    /// Directory of this node's network configurations
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    pub(crate) cni_conf_dir: PathBuf,
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
