//! Editing a network configuration list, and leaving everyone else's part of it as it was.

mod text;

use serde_json::{Map, Value};

use text::Indent;

/// A network configuration list, the content of a `.conflist` file, ready to be edited.
///
/// Unknown keys, the order of keys and the spelling of numbers stay as they were read; so do
/// `cniVersion` and `cniVersions`. White space does not: [`ConfList::to_text`] lays the document
/// out anew, with the indentation it had.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfList {
    document: Map<String, Value>,
    indent: Indent,
}

/// What an edit has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The list was already as asked for; there is nothing to write.
    Unchanged,
    /// The entry is new, at the end.
    Appended,
    /// The entry stands in the place of an older one of its type; further ones are gone.
    Replaced,
    /// The entries of the type are gone.
    Removed,
}

/// Why a text is not a configuration list, or a value not an entry of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfListError {
    /// The text is no JSON; the source says where.
    #[error("configuration list is not JSON")]
    Json(#[from] serde_json::Error),
    /// A field is missing or has the wrong type.
    #[error("field `{path}` is {found}, but must be {expected}")]
    Field {
        /// Where it is, `plugins[1].type`; `document` for the whole.
        path: String,
        /// The value in backticks, or `missing`.
        found: String,
        /// What would be right.
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

    /// Makes a list of the content of a `.conf` file, a single plugin's configuration: its
    /// `cniVersion` and `name` become the list's, and it stays whole as the only plugin.
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

    /// The list's `cniVersion` as it is written; `None` when it has none.
    pub fn cni_version(&self) -> Option<&str> {
        self.document.get("cniVersion").and_then(Value::as_str)
    }

    /// The plugins' configurations, first called first.
    pub fn plugins(&self) -> &[Value] {
        self.document
            .get("plugins")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Is a plugin of this type in the list?
    pub fn contains(&self, plugin_type: &str) -> bool {
        self.plugins()
            .iter()
            .any(|plugin| has_type(plugin, plugin_type))
    }

    /// Puts a chained plugin into the list, exactly once: in the place of the first entry of its
    /// type, or at the end. Fails only if the entry is no object with a `type`.
    pub fn set_chained(&mut self, entry: Value) -> Result<Change, ConfListError> {
        let wanted = plugin_type("entry", &entry)?.to_owned();
        let plugins = self.plugins_mut();
        let mut same = (0..plugins.len()).filter(|&at| has_type(&plugins[at], &wanted));
        let (first, others) = (same.next(), same.count());
        let Some(first) = first else {
            plugins.push(entry);
            return Ok(Change::Appended);
        };
        if others == 0 && plugins[first] == entry {
            return Ok(Change::Unchanged);
        }
        let mut later = plugins.split_off(first + 1);
        later.retain(|plugin| !has_type(plugin, &wanted));
        plugins[first] = entry;
        plugins.append(&mut later);
        Ok(Change::Replaced)
    }

    /// Takes every entry of a type out of the list.
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

    /// Puts an entry in the place of the first one of another type; further ones of that type go.
    /// Where there is none, nothing is changed. Fails only if the entry is no object with a `type`.
    pub fn replace(&mut self, other: &str, entry: Value) -> Result<Change, ConfListError> {
        plugin_type("entry", &entry)?;
        let plugins = self.plugins_mut();
        let Some(first) = plugins.iter().position(|plugin| has_type(plugin, other)) else {
            return Ok(Change::Unchanged);
        };
        plugins[first] = entry;
        let mut at = 0;
        plugins.retain(|plugin| {
            let keep = at == first || !has_type(plugin, other);
            at += 1;
            keep
        });
        Ok(Change::Replaced)
    }

    /// A field of the list itself, such as `disableCheck`.
    pub fn field(&self, key: &str) -> Option<&Value> {
        self.document.get(key)
    }

    /// Sets a field of the list itself, at the end if it is new. Fails where `name` or `plugins`
    /// would no longer be what [`ConfList::parse`] asks for; nothing is changed then.
    pub fn set_field(&mut self, key: &str, value: Value) -> Result<(), ConfListError> {
        let mut document = self.document.clone();
        document.insert(key.to_owned(), value);
        checked(&document)?;
        self.document = document;
        Ok(())
    }

    /// Takes a field of the list itself away, and says what it was; `name` and `plugins` stay.
    pub fn remove_field(&mut self, key: &str) -> Option<Value> {
        if matches!(key, "name" | "plugins") {
            return None;
        }
        self.document.shift_remove(key)
    }

    /// The document as text, one key a line, with a final newline.
    pub fn to_text(&self) -> String {
        self.indent.lay_out(&self.document)
    }

    fn plugins_mut(&mut self) -> &mut Vec<Value> {
        let plugins = self
            .document
            .get_mut("plugins")
            .and_then(Value::as_array_mut);
        plugins.expect("every constructor makes sure that there is a list of plugins")
    }
}

impl Change {
    /// Is there something to write?
    pub fn is_change(self) -> bool {
        self != Self::Unchanged
    }
}

/// Is this a list: with a `name`, and with `plugins` that each have a `type`?
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
    let text = value
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    let dot = if path.is_empty() { "" } else { "." };
    text.ok_or_else(|| {
        field(
            &format!("{path}{dot}{key}"),
            value,
            "a string that is not empty",
        )
    })
}

fn field(path: &str, value: Option<&Value>, expected: &'static str) -> ConfListError {
    let found = value.map(|value| format!("`{}`", crate::json::excerpt(value)));
    let found = found.unwrap_or_else(|| "missing".to_owned());
    ConfListError::Field {
        path: path.to_owned(),
        found,
        expected,
    }
}
