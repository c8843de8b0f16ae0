//! Edits a network configuration list and leaves the rest of it unchanged.

mod text;

use serde_json::{Map, Value};

use text::Indent;

/// A network configuration list, the content of a `.conflist` file.
///
/// Editing keeps unknown keys, the order of keys, the digits of numbers, `cniVersion` and
/// `cniVersions`. It does not keep whitespace: [`ConfList::to_text`] formats the document with the
/// original indentation.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfList {
    document: Map<String, Value>,
    indent: Indent,
}

/// The effect of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The list did not change.
    Unchanged,
    /// The entry was added at the end.
    Appended,
    /// The entry replaced an older one, and further ones were removed.
    Replaced,
    /// All entries of the type were removed.
    Removed,
}

/// Why a text is not a configuration list, or a value is not an entry of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfListError {
    /// The text is not JSON.
    #[error("configuration list is not JSON")]
    Json(#[from] serde_json::Error),
    /// A field is missing or has the wrong type.
    #[error("field `{path}` is {found}, expected {expected}")]
    Field {
        /// The path, such as `plugins[1].type`, or `document`.
        path: String,
        /// The value in backticks, or `missing`.
        found: String,
        /// The expected form.
        expected: &'static str,
    },
}

impl ConfList {
    /// Reads the content of a `.conflist` file: an object with a `name` and a list of `plugins`,
    /// each an object with a `type`.
    pub fn parse(text: &str) -> Result<Self, ConfListError> {
        let document = object("document", serde_json::from_str(text)?)?;
        checked(&document)?;
        Ok(Self {
            document,
            indent: Indent::detect(text),
        })
    }

    /// Converts the content of a `.conf` file, a single plugin's configuration, to a list: the list
    /// gets its `cniVersion` and `name`, and the unchanged configuration becomes the only plugin.
    pub fn from_conf(text: &str) -> Result<Self, ConfListError> {
        let plugin = object("document", serde_json::from_str(text)?)?;
        text_field(&plugin, "", "name")?;
        text_field(&plugin, "", "type")?;
        let mut document = Map::new();
        for key in ["cniVersion", "name"] {
            if let Some(value) = plugin.get(key) {
                document.insert(key.to_owned(), value.clone());
            }
        }
        document.insert(
            "plugins".to_owned(),
            Value::Array(vec![Value::Object(plugin)]),
        );
        Ok(Self {
            document,
            indent: Indent::detect(text),
        })
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        self.document
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The list's `cniVersion`, if any.
    pub fn cni_version(&self) -> Option<&str> {
        self.document.get("cniVersion").and_then(Value::as_str)
    }

    /// The plugins' configurations, in the order of calls.
    pub fn plugins(&self) -> &[Value] {
        self.document
            .get("plugins")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Whether the list contains a plugin of this type.
    pub fn contains(&self, plugin_type: &str) -> bool {
        self.plugins()
            .iter()
            .any(|plugin| has_type(plugin, plugin_type))
    }

    /// Adds a chained plugin to the list exactly once: it replaces the first entry of its type, or is
    /// added at the end. Fails only if the entry is not an object with a `type`.
    pub fn set_chained(&mut self, entry: Value) -> Result<Change, ConfListError> {
        let wanted = plugin_type("entry", &entry)?.to_owned();
        let plugins = self.plugins_mut();
        let same: Vec<_> = plugins
            .iter()
            .filter(|plugin| has_type(plugin, &wanted))
            .collect();
        match same.as_slice() {
            [] => {
                plugins.push(entry);
                Ok(Change::Appended)
            }
            [only] if **only == entry => Ok(Change::Unchanged),
            _ => self.replace(&wanted, entry),
        }
    }

    /// Removes every entry of a type from the list.
    pub fn remove(&mut self, plugin_type: &str) -> Change {
        let plugins = self.plugins_mut();
        let before = plugins.len();
        plugins.retain(|plugin| !has_type(plugin, plugin_type));
        if plugins.len() == before {
            Change::Unchanged
        } else {
            Change::Removed
        }
    }

    /// Replaces the first entry of another type, and removes further ones of that type. Changes
    /// nothing if there is none. Fails only if the entry is not an object with a `type`.
    pub fn replace(&mut self, other: &str, entry: Value) -> Result<Change, ConfListError> {
        plugin_type("entry", &entry)?;
        let plugins = self.plugins_mut();
        let Some(first) = plugins.iter().position(|plugin| has_type(plugin, other)) else {
            return Ok(Change::Unchanged);
        };
        let mut later = plugins.split_off(first);
        later.retain(|plugin| !has_type(plugin, other));
        plugins.push(entry);
        plugins.append(&mut later);
        Ok(Change::Replaced)
    }

    /// A field of the list itself, such as `disableCheck`.
    pub fn field(&self, key: &str) -> Option<&Value> {
        self.document.get(key)
    }

    /// Sets a field of the list itself; a new one is added at the end. Fails without a change if
    /// [`ConfList::parse`] would reject the new `name` or `plugins`.
    pub fn set_field(&mut self, key: &str, value: Value) -> Result<(), ConfListError> {
        let mut document = self.document.clone();
        document.insert(key.to_owned(), value);
        checked(&document)?;
        self.document = document;
        Ok(())
    }

    /// Removes and returns a field of the list itself, except `name` and `plugins`.
    pub fn remove_field(&mut self, key: &str) -> Option<Value> {
        if matches!(key, "name" | "plugins") {
            return None;
        }
        self.document.shift_remove(key)
    }

    /// The document as text, with one key per line and a final newline.
    pub fn to_text(&self) -> String {
        self.indent.format(&self.document)
    }

    fn plugins_mut(&mut self) -> &mut Vec<Value> {
        self.document
            .get_mut("plugins")
            .and_then(Value::as_array_mut)
            .expect("every constructor checks that `plugins` is a list")
    }
}

impl Change {
    /// Whether the list changed.
    pub fn is_change(self) -> bool {
        self != Self::Unchanged
    }
}

/// Checks for a `name` and a list of `plugins` that each have a `type`.
fn checked(document: &Map<String, Value>) -> Result<(), ConfListError> {
    text_field(document, "", "name")?;
    let plugins = document.get("plugins");
    let Some(Value::Array(plugins)) = plugins else {
        return Err(field("plugins", plugins, "a list of plugin configurations"));
    };
    for (at, plugin) in plugins.iter().enumerate() {
        plugin_type(&format!("plugins[{at}]"), plugin)?;
    }
    Ok(())
}

fn has_type(plugin: &Value, wanted: &str) -> bool {
    plugin.get("type").and_then(Value::as_str) == Some(wanted)
}

fn plugin_type<'a>(path: &str, plugin: &'a Value) -> Result<&'a str, ConfListError> {
    match plugin {
        Value::Object(fields) => text_field(fields, path, "type"),
        other => Err(field(path, Some(other), "an object")),
    }
}

fn object(path: &str, value: Value) -> Result<Map<String, Value>, ConfListError> {
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(field(path, Some(&other), "an object")),
    }
}

fn text_field<'a>(
    fields: &'a Map<String, Value>,
    path: &str,
    key: &str,
) -> Result<&'a str, ConfListError> {
    let value = fields.get(key);
    value
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| field(&crate::json::join(path, key), value, "a non-empty string"))
}

fn field(path: &str, value: Option<&Value>, expected: &'static str) -> ConfListError {
    ConfListError::Field {
        path: path.to_owned(),
        found: value.map_or("missing".to_owned(), |value| {
            format!("`{}`", crate::json::excerpt(value))
        }),
        expected,
    }
}
