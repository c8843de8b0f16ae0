//! Finds plugins inside the configurations of other plugins: Multus and other meta-plugins copy a
//! network's list into their own configuration.

use std::fmt::Write;
use std::path::PathBuf;

use mesh_cni_plan::PLUGIN_TYPE;
use mesh_cni_spec::{parse_json, plugin_type};
use serde_json::{Map, Value};

use crate::peer::keeps_entry;
use crate::{ConfFile, ConfKind, NodePaths, NodeState};

/// An entry of the plugin that is not in a list's own `plugins`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} names mesh-cni{}", conf.display(), position(at.as_deref()))]
pub struct NestedEntry {
    /// The network configuration.
    pub conf: PathBuf,
    /// The entry's path in the document, such as `delegates[0].plugins[2]`; `None` if the file cannot be
    /// parsed.
    pub at: Option<String>,
}

fn position(at: Option<&str>) -> String {
    at.map_or_else(String::new, |at| format!(" at {at}"))
}

/// Every entry of the plugin in the node's files that is not in a list's own `plugins`, where
/// uninstalling removes it.
pub(crate) fn nested_entries(paths: &NodePaths, state: &NodeState) -> Vec<NestedEntry> {
    let of_conf = |conf: &ConfFile| {
        let entry = |at| NestedEntry {
            conf: paths.conf(&conf.name),
            at,
        };
        match parse_json(&conf.text) {
            Ok(document) => positions(conf.name.kind(), &document, PLUGIN_TYPE)
                .into_iter()
                .map(|at| entry(Some(at)))
                .collect(),
            Err(_) => Vec::from_iter(conf.mentions_us().then(|| entry(None))),
        }
    };
    // A copy is removed as a whole.
    let others = state.confs.iter().filter(|conf| !conf.is_copy());
    others.flat_map(of_conf).collect()
}

/// Whether the file has a plugin of this type below a list's own `plugins`.
pub(crate) fn nests(conf: &ConfFile, plugin_type: &str) -> bool {
    parse_json(&conf.text)
        .is_ok_and(|document| !positions(conf.name.kind(), &document, plugin_type).is_empty())
}

/// Whether the list has a plugin that calls other plugins with lists of its own, as Multus does.
pub(crate) fn has_delegates(conf: &ConfFile) -> bool {
    let calls_others = |plugin: &Value| {
        let is_multus = ["multus", "multus-shim"]
            .into_iter()
            .any(|name| plugin_type(plugin) == Some(name));
        is_multus || plugin.get("delegates").is_some()
    };
    conf.list()
        .is_ok_and(|list| list.plugins().iter().any(calls_others))
}

/// The file's networks inside other plugins' configurations, by name, with whether each has our entry.
pub(crate) fn nested_networks(conf: &ConfFile) -> Vec<(String, bool)> {
    let mut networks = Vec::new();
    let Ok(document) = parse_json(&conf.text) else {
        return networks;
    };
    visit(&document, &mut String::new(), &mut |at, fields| {
        let name = field(fields, "name").and_then(Value::as_str);
        let is_network = field(fields, "plugins").is_some() || field(fields, "type").is_some();
        if let Some(name) = name.filter(|_| is_network && at.contains("delegates[")) {
            let ours = names(&Value::Object(fields.clone()), PLUGIN_TYPE);
            networks.push((name.to_owned(), ours));
        }
    });
    networks
}

/// The configuration that the runtime loads, if it has a copy of this list's network without our entry.
pub(crate) fn stale_copy_of<'a>(
    state: &'a NodeState,
    conf: &ConfFile,
    network: &str,
) -> Option<&'a ConfFile> {
    let first = state.confs.iter().find(|conf| conf.list().is_ok())?;
    let is_stale = |(name, ours): &(String, bool)| name == network && !ours;
    (first.name != conf.name && !first.has_entry() && nested_networks(first).iter().any(is_stale))
        .then_some(first)
}

/// Whether the value contains a plugin of this type at any depth.
pub(crate) fn names(value: &Value, plugin_type: &str) -> bool {
    let mut found = false;
    visit(value, &mut String::new(), &mut |_, fields| {
        found |= has_type(fields, plugin_type);
    });
    found
}

/// Whether the text contains the plugin's type.
pub(crate) fn mentions_us(text: &[u8]) -> bool {
    let name = PLUGIN_TYPE.as_bytes();
    text.windows(name.len()).any(|part| part == name)
}

fn positions(kind: ConfKind, document: &Value, plugin_type: &str) -> Vec<String> {
    let mut positions = Vec::new();
    visit(document, &mut String::new(), &mut |at, fields| {
        if has_type(fields, plugin_type) && !is_own_plugin(kind, at) {
            positions.push(at.to_owned());
        }
    });
    positions
}

/// Whether this is the path of a list's own plugin, or of a single plugin.
fn is_own_plugin(kind: ConfKind, at: &str) -> bool {
    match kind {
        ConfKind::Single => at.is_empty(),
        ConfKind::List => at
            .strip_prefix("plugins[")
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit())),
    }
}

/// Calls `found` with the path and the fields of each object. `serde_json` limits the depth of a document.
fn visit(value: &Value, at: &mut String, found: &mut impl FnMut(&str, &Map<String, Value>)) {
    let length = at.len();
    match value {
        Value::Object(fields) => {
            found(at, fields);
            for (name, value) in fields {
                if keeps_entry(name) {
                    continue;
                }
                let dot = if at.is_empty() { "" } else { "." };
                write!(at, "{dot}{name}").expect("a string can be written");
                visit(value, at, found);
                at.truncate(length);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                write!(at, "[{index}]").expect("a string can be written");
                visit(value, at, found);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

fn has_type(fields: &Map<String, Value>, plugin_type: &str) -> bool {
    field(fields, "type").and_then(Value::as_str) == Some(plugin_type)
}

/// A field as runtimes find it: Go's decoder ignores case.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).or_else(|| {
        let mut named = fields
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    })
}
