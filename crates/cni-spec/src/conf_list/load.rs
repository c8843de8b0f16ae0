//! Checks what libcni checks when it loads a network configuration.
//!
//! The rules are those of `libcni/conf.go` of containernetworking/cni 1.3.

use serde_json::{Map, Value};

use super::{ConfListError, field};
use crate::json::join;

/// The number of parts of a version.
const VERSION_PARTS: usize = 3;

/// Checks a network configuration list.
pub(super) fn check_list(document: &Map<String, Value>) -> Result<(), ConfListError> {
    check_numbers("", document)?;
    require(document, "name", "a string", Value::is_string)?;
    optional(document, "cniVersion", "a string", Value::is_string)?;
    let versions = "a list of CNI versions";
    optional(document, "cniVersions", versions, is_version_list)?;
    if document.contains_key("cniVersions") {
        optional(document, "cniVersion", "a CNI version", is_version)?;
    }
    for key in ["disableCheck", "disableGC", LOAD_ONLY_INLINED] {
        optional(document, key, "`true` or `false`", |value| {
            boolean(value).is_some()
        })?;
    }
    if !document.contains_key("plugins") && !loads_only_inlined(document) {
        return Ok(());
    }
    let plugins = document.get("plugins");
    let Some(plugins) = plugins
        .and_then(Value::as_array)
        .filter(|plugins| !plugins.is_empty())
    else {
        return Err(field("plugins", plugins, "a list of plugin configurations"));
    };
    for (at, plugin) in plugins.iter().enumerate() {
        check_plugin(&format!("plugins[{at}]"), plugin)?;
    }
    Ok(())
}

const LOAD_ONLY_INLINED: &str = "loadOnlyInlinedPlugins";

/// Whether the list forbids its runtime to append plugins from files.
pub(super) fn loads_only_inlined(document: &Map<String, Value>) -> bool {
    document.get(LOAD_ONLY_INLINED).and_then(boolean) == Some(true)
}

/// Checks a plugin's configuration. Go matches its keys in upper and lower case.
pub(super) fn check_plugin(path: &str, plugin: &Value) -> Result<(), ConfListError> {
    let Value::Object(fields) = plugin else {
        let path = if path.is_empty() { "document" } else { path };
        return Err(field(path, Some(plugin), "an object"));
    };
    let check = |key: &str, expected, is_valid: fn(&Value) -> bool| match get(fields, key) {
        Some(value) if !is_valid(value) => Err(field(&join(path, key), Some(value), expected)),
        _ => Ok(()),
    };
    match get(fields, "type") {
        Some(Value::String(name)) if !name.is_empty() => {}
        other => return Err(field(&join(path, "type"), other, "a non-empty string")),
    }
    check("name", "a string", Value::is_string)?;
    check("cniVersion", "a string", Value::is_string)?;
    check("capabilities", "an object of booleans", is_capabilities)?;
    check("ipam", "an object whose `type` is a string", is_ipam)?;
    check("dns", "an object with DNS settings", is_dns)?;
    check("prevResult", "an object", Value::is_object)?;
    check(
        "cni.dev/valid-attachments",
        "a list of attachments",
        is_attachments,
    )
}

/// A field of a plugin's configuration, in upper or lower case; `null` counts as absent. If there are
/// several, the last one in byte order counts, because libcni sorts the keys.
pub(super) fn get<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    fields
        .iter()
        .filter(|(name, value)| !value.is_null() && is_same_key(name, key))
        .max_by_key(|(name, _)| name.as_str())
        .map(|(_, value)| value)
}

/// Whether Go takes two keys for the same. It also matches the long s and the Kelvin sign.
fn is_same_key(name: &str, key: &str) -> bool {
    let folded = |c: char| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(folded).eq(key.chars().map(folded))
}

fn require(
    document: &Map<String, Value>,
    key: &str,
    expected: &'static str,
    is_valid: fn(&Value) -> bool,
) -> Result<(), ConfListError> {
    let value = document.get(key);
    if value.is_some_and(is_valid) {
        return Ok(());
    }
    Err(field(key, value, expected))
}

fn optional(
    document: &Map<String, Value>,
    key: &str,
    expected: &'static str,
    is_valid: fn(&Value) -> bool,
) -> Result<(), ConfListError> {
    if document.contains_key(key) {
        require(document, key, expected, is_valid)?;
    }
    Ok(())
}

/// A boolean, or a string that libcni reads as one.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.to_lowercase().parse().ok(),
        _ => None,
    }
}

fn is_version_list(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|versions| versions.iter().all(is_version))
}

/// Whether libcni can compare the version: up to three whole numbers, or an empty string.
fn is_version(value: &Value) -> bool {
    value.as_str().is_some_and(|version| {
        let parts: Vec<_> = version.split('.').collect();
        let is_number = |part: &&str| part.parse::<i64>().is_ok();
        version.is_empty() || (parts.len() <= VERSION_PARTS && parts.iter().all(is_number))
    })
}

fn is_capabilities(value: &Value) -> bool {
    let is_flag = |value: &Value| value.is_boolean() || value.is_null();
    value
        .as_object()
        .is_some_and(|capabilities| capabilities.values().all(is_flag))
}

fn is_ipam(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|ipam| get(ipam, "type").is_none_or(Value::is_string))
}

fn is_dns(value: &Value) -> bool {
    let is_text = |value: &Value| value.is_string() || value.is_null();
    let is_texts = |value: &Value| {
        value
            .as_array()
            .is_some_and(|values| values.iter().all(is_text))
    };
    value.as_object().is_some_and(|dns| {
        let lists = ["nameservers", "search", "options"];
        let mut lists = lists.iter().filter_map(|key| get(dns, key));
        lists.all(is_texts) && get(dns, "domain").is_none_or(Value::is_string)
    })
}

fn is_attachments(value: &Value) -> bool {
    let is_attachment = |value: &Value| match value {
        Value::Object(fields) => ["containerID", "ifname"]
            .iter()
            .all(|key| get(fields, key).is_none_or(Value::is_string)),
        other => other.is_null(),
    };
    value
        .as_array()
        .is_some_and(|attachments| attachments.iter().all(is_attachment))
}

/// Checks that every number is in the range of Go's numbers.
fn check_numbers(path: &str, fields: &Map<String, Value>) -> Result<(), ConfListError> {
    fields
        .iter()
        .try_for_each(|(key, value)| check_number(&join(path, key), value))
}

/// Checks the numbers of a value.
pub(super) fn check_number(path: &str, value: &Value) -> Result<(), ConfListError> {
    match value {
        Value::Number(number) if number.as_f64().is_none() => {
            Err(field(path, Some(value), "a number in the range of doubles"))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| check_number(&format!("{path}[{at}]"), item)),
        Value::Object(fields) => check_numbers(path, fields),
        _ => Ok(()),
    }
}
