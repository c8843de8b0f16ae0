//! Taking the place of Istio CNI, and giving it back.

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::ConfList;
use serde_json::{Map, Value};

/// `type` of Istio CNI's entry, and the name of its binary.
pub(crate) const ISTIO_CNI: &str = "istio-cni";

/// The field of a list that keeps the entry of Istio CNI that ours took the place of. It is in the
/// list so that taking over is one edit. Runtimes pass over fields of a list that they do not know.
const REPLACED: &str = "mesh-cni/replaced";

/// Does Istio CNI program the pods of this list?
pub(crate) fn is_in(list: &ConfList) -> bool {
    list.contains(ISTIO_CNI)
}

/// Puts `ours` in the place of Istio CNI's entry, and keeps that one in the list.
pub(crate) fn take_over(list: &mut ConfList, ours: Value) {
    let Some(theirs) = entry_of(list) else {
        return;
    };
    list.remove(PLUGIN_TYPE);
    list.replace(ISTIO_CNI, ours)
        .and_then(|_| list.set_field(REPLACED, theirs))
        .expect("an entry of ours has its type, and the field is not one of the list's own");
}

/// Is this an entry of Istio CNI?
pub(crate) fn is_entry(plugin: &Value) -> bool {
    plugin.get("type").and_then(Value::as_str) == Some(ISTIO_CNI)
}

/// The entry of Istio CNI, in force or replaced.
pub(crate) fn entry_of(list: &ConfList) -> Option<Value> {
    let standing = list.plugins().iter().find(|plugin| is_entry(plugin));
    standing.or_else(|| list.field(REPLACED)).cloned()
}

/// What our entry takes over from Istio CNI's: settings that mean the same for both. Its run
/// directory and its own namespace are its agent's and not ours.
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
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}

/// Puts the entry that was replaced back in the place of ours, or at the end where ours is gone;
/// `false` where none was replaced.
pub(crate) fn give_back(list: &mut ConfList) -> bool {
    let Some(theirs) = list.remove_field(REPLACED) else {
        return false;
    };
    let change = list.replace(PLUGIN_TYPE, theirs.clone());
    let change = change.and_then(|change| {
        if change.is_change() {
            Ok(change)
        } else {
            list.set_chained(theirs)
        }
    });
    change.is_ok()
}

/// Forgets the entry that was replaced; `false` where none was.
pub(crate) fn forget(list: &mut ConfList) -> bool {
    list.remove_field(REPLACED).is_some()
}

/// Was an entry replaced in this list?
pub(crate) fn was_replaced(list: &ConfList) -> bool {
    list.field(REPLACED).is_some()
}
