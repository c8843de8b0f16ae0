//! The plugin's entry and the list that contains it.

use mesh_cni_plan::{Decoded, MeshConf, PLUGIN_TYPE};
use mesh_cni_spec::{ConfList, NetConf, plugin_type};
use serde_json::{Value, json};

use crate::property::assert_one_line;

pub(crate) fn run(input: &[u8]) {
    if let Ok((conf, errors)) = NetConf::parse_tolerant(input) {
        assert_eq!(NetConf::parse(input).is_ok(), errors.is_empty());
        for error in &errors {
            assert_one_line(&error.to_string());
        }
        if let Ok(decoded) = MeshConf::decode(&conf.raw) {
            check(&decoded, conf.raw.keys());
        }
    }
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let entry = MeshConf::from_list(text);
    for list in [ConfList::parse(text), ConfList::from_conf(text)]
        .into_iter()
        .flatten()
    {
        let is_own = |plugin: &&Value| plugin["type"] == PLUGIN_TYPE;
        if let (Ok(decoded), Some(plugin)) = (&entry, list.plugins().iter().find(is_own)) {
            check(
                decoded,
                plugin.as_object().into_iter().flatten().map(|(key, _)| key),
            );
        }
        change(&list);
    }
}

/// Unknown fields are fields of the entry, and an operator's defaults are valid settings.
fn check<'a>(decoded: &Decoded, mut keys: impl Iterator<Item = &'a String>) {
    for unknown in &decoded.unknown {
        assert!(keys.any(|key| key == unknown), "{unknown:?}");
    }
    let conf = &decoded.conf;
    let again: serde_json::Map<_, _> = [("defaults".to_owned(), json!(conf.defaults))]
        .into_iter()
        .collect();
    let again = MeshConf::decode(&again).expect("valid defaults are valid again");
    assert_eq!(again.conf.defaults, conf.defaults);
}

/// Only our entry changes, the list has it exactly once, and its text is what its values say.
fn change(list: &ConfList) {
    let mut changed = reparsed(list);
    let others = |list: &ConfList| -> Vec<Value> {
        let is_other = |plugin: &&Value| plugin_type(plugin) != Some(PLUGIN_TYPE);
        list.plugins().iter().filter(is_other).cloned().collect()
    };
    let entry = json!({"type": PLUGIN_TYPE, "plugin_log_level": "warn"});
    if changed.set_chained(&entry).is_err() {
        assert!(changed.has_same_values(list));
        return;
    }
    let mut changed = reparsed(&changed);
    assert_eq!(others(&changed), others(list));
    assert_eq!(changed.plugins().len(), others(list).len() + 1);
    let again = changed.set_chained(&entry);
    assert!(again.is_ok_and(|change| !change.is_change()));
    changed.remove(PLUGIN_TYPE);
    assert_eq!(changed.plugins(), others(list));
    // libcni loads no list without plugins.
    if !changed.plugins().is_empty() {
        reparsed(&changed);
    }
}

/// The list as its text says.
fn reparsed(list: &ConfList) -> ConfList {
    let again = ConfList::parse(list.text()).expect("the text of a list is a list");
    assert!(again.has_same_values(list));
    again
}
