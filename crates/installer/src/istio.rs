//! Replacing and restoring the entry of Istio CNI.

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::{ConfList, plugin_type};
use serde_json::{Map, Value};

use crate::nested::nests;
use crate::{ConfFile, NodeState};

/// `type` of Istio CNI's entry, and its binary's name.
pub(crate) const ISTIO_CNI: &str = "istio-cni";

/// The field of a list that keeps the replaced entry of Istio CNI, so that replacing is a single
/// edit. Runtimes ignore unknown fields of a list.
pub(crate) const REPLACED: &str = "mesh-cni/replaced";

/// Whether the list has an entry of Istio CNI among its own plugins.
pub(crate) fn is_in(list: &ConfList) -> bool {
    list.contains(ISTIO_CNI)
}

/// Replaces Istio CNI's entry by `ours`, and keeps it in the list.
pub(crate) fn replace(list: &mut ConfList, ours: &Value) {
    list.remove(PLUGIN_TYPE);
    list.set_aside(ISTIO_CNI, ours, REPLACED)
        .expect("`Entry` checks our entry");
}

/// Whether this is Istio CNI's entry.
pub(crate) fn is_entry(plugin: &Value) -> bool {
    plugin_type(plugin) == Some(ISTIO_CNI)
}

/// Istio CNI's entry, active or replaced.
pub(crate) fn entry_of(list: &ConfList) -> Option<Value> {
    list.plugins()
        .iter()
        .find(|plugin| is_entry(plugin))
        .or_else(|| list.field(REPLACED))
        .cloned()
}

/// The settings of Istio CNI's entry that have the same meaning in ours. Its run directory and
/// namespace belong to its own agent.
pub(crate) fn translated(theirs: &Value) -> Map<String, Value> {
    let older = theirs.get("kubernetes").unwrap_or(&Value::Null);
    let level = theirs.get("plugin_log_level").or(theirs.get("log_level"));
    let excluded = theirs
        .get("exclude_namespaces")
        .or(older.get("exclude_namespaces"));
    let native = theirs.get("native_nftables") == Some(&Value::Bool(true));
    let fields = [
        ("plugin_log_level", level.cloned()),
        ("exclude_namespaces", excluded.cloned()),
        ("backend", native.then(|| Value::from("nft-native"))),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// Restores the replaced entry in place of ours, or at the end if ours is missing. Does nothing if
/// no entry was replaced.
pub(crate) fn restore(list: &mut ConfList) {
    list.restore(REPLACED, PLUGIN_TYPE);
}

/// The node's configuration that has an entry of Istio CNI, at any depth.
pub(crate) fn active_in(state: &NodeState) -> Option<&ConfFile> {
    let is_active =
        |conf: &&ConfFile| conf.list().is_ok_and(|list| is_in(&list)) || nests(conf, ISTIO_CNI);
    state.confs.iter().find(is_active)
}

/// Discards the replaced entry; `false` if there is none.
pub(crate) fn forget(list: &mut ConfList) -> bool {
    list.remove_field(REPLACED).is_some()
}

/// Whether the list keeps a replaced entry, as far as other programs have not changed it.
pub(crate) fn was_replaced(list: &ConfList) -> bool {
    list.field(REPLACED).is_some_and(is_entry)
}
