//! Signs that a runtime does not load the chosen list.
//!
//! containerd loads the first file. CRI-O loads all files, passes over those with a plugin that is missing
//! or too old, and uses the network `cni_default_network` if its configuration names one.

use mesh_cni_spec::plugin_type;

use super::choose_conf;
use crate::node_state::is_ours;
use crate::{ConfKind, ConfName, NodePaths, NodeState, Note};

/// The signs, for the list that is chosen if none is requested.
pub(crate) fn signs(
    paths: &NodePaths,
    requested: Option<&ConfName>,
    state: &NodeState,
) -> Vec<Note> {
    let chosen = choose_conf(paths, requested, state).ok();
    let Some((conf, list)) = chosen.and_then(|conf| Some((conf, conf.list().ok()?))) else {
        return Vec::new();
    };
    let path = paths.conf(&conf.name);
    let is_missing = |plugin: &&str| {
        let binaries = state.binaries.as_ref();
        binaries.is_some_and(|binaries| !binaries.contains(*plugin))
    };
    let types = list.plugins().iter().filter(|plugin| !is_ours(plugin));
    let types = types.filter_map(plugin_type);
    let missing = types.filter(is_missing).map(|plugin| Note::PluginMissing {
        path: path.clone(),
        plugin: plugin.to_owned(),
        bin_dir: paths.bin_dir.clone(),
    });
    let broken = state
        .broken_drop_ins
        .iter()
        .filter(|broken| conf.name.kind() == ConfKind::List && broken.network == list.name())
        .filter(|_| !list.loads_only_inlined())
        .map(|broken| Note::DropInBroken {
            list: path.clone(),
            path: broken.path.clone(),
            why: broken.why.clone(),
        });
    let used = state.used_network.as_deref();
    let used = used.filter(|used| requested.is_none() && *used != list.name());
    let unused = used.map(|used| Note::ListUnused {
        path: path.clone(),
        network: list.name().to_owned(),
        used: used.to_owned(),
    });
    missing.chain(broken).chain(unused).collect()
}
