//! Entries that another plugin of the runtime's list calls, and copies of a network without one.

use std::path::Path;

use mesh_cni_plan::PLUGIN_TYPE;
use serde_json::Value;

use super::{Problem, has_entry};
use crate::nested::{nested_networks, nests};
use crate::{ConfFile, NodePaths, NodeState};

/// Whether another plugin of the list calls ours: from its own configuration, or from a file of the
/// directory that has our entry.
pub(super) fn is_called_by_another(state: &NodeState, conf: &ConfFile) -> bool {
    let reads_entry = |network: &String| {
        let mut others = state.confs.iter();
        others.any(|other| is_named(other, network) && has_entry(state, other))
    };
    nests(conf, PLUGIN_TYPE) || cluster_networks(conf).iter().any(reads_entry)
}

/// A network with our entry of which the first configuration, which the runtime loads, has a copy
/// without it.
pub(super) fn stale_network(paths: &NodePaths, state: &NodeState) -> Option<Problem> {
    let mut loaded = state.confs.iter().filter(|conf| conf.list().is_ok());
    let first = loaded.next().filter(|first| !first.has_entry())?;
    let has_entry_elsewhere = |network: &str| {
        let mut others = loaded.clone();
        others.any(|other| is_named(other, network) && has_entry(state, other))
    };
    let mut copies = nested_networks(first).into_iter();
    let (network, _) = copies.find(|(name, ours)| !ours && has_entry_elsewhere(name))?;
    let conf = paths.conf(&first.name);
    Some(Problem::StaleNetwork { conf, network })
}

/// Networks that Multus reads from the directory when a pod starts: names or files.
fn cluster_networks(conf: &ConfFile) -> Vec<String> {
    let Ok(list) = conf.list() else {
        return Vec::new();
    };
    let networks = list.plugins().iter();
    networks
        .filter_map(|plugin| plugin.get("clusterNetwork").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}

/// Whether this is the network's name or file.
fn is_named(conf: &ConfFile, network: &str) -> bool {
    let file = Path::new(network).file_name();
    file.is_some_and(|file| file == conf.name.as_str())
        || conf.list().is_ok_and(|list| list.name() == network)
}
