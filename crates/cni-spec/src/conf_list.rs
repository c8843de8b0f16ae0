//! Edits a network configuration list and leaves the rest of its text unchanged.

mod decode;
mod layout;
mod load;
mod scan;

use std::ops::Range;

use serde_json::{Map, Value};

/// A network configuration list, the content of a `.conflist` file, as libcni loads it.
///
/// Editing changes only the bytes of the edited entry or field. Removing an entry that was added at the
/// end gives the bytes before. The text does not have to be UTF-8: in strings, libcni reads other bytes as
/// U+FFFD.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfList {
    text: Vec<u8>,
    document: Map<String, Value>,
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

/// Why libcni does not load a text, or a value is not an entry of a list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfListError {
    /// The text is not JSON.
    #[error("configuration list is not JSON")]
    Json(#[source] serde_json::Error),
    /// The text is JSON that libcni loads, but its values are nested too deeply for this crate.
    #[error(
        "configuration list is nested deeper than {} levels",
        decode::MAX_DEPTH
    )]
    TooDeep,
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
    /// Reads the content of a `.conflist` file. Fails if libcni would not load it, or with
    /// [`ConfListError::TooDeep`].
    ///
    /// A list without `plugins` is valid: libcni reads its plugins from the network's directory.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ConfListError> {
        let text = text.as_ref().to_vec();
        let document = object(decode::document(&text)?)?;
        load::check_list(&document)?;
        Ok(Self { text, document })
    }

    /// Converts the content of a `.conf` file, a single plugin's configuration, to a list: the list
    /// gets its `cniVersion` and `name`, and the unchanged configuration becomes the only plugin. Fails
    /// if libcni would not load it.
    pub fn from_conf(text: impl AsRef<[u8]>) -> Result<Self, ConfListError> {
        let text = text.as_ref();
        let plugin = decode::document(text)?;
        load::check_plugin("", &plugin)?;
        let fields = object(plugin)?;
        let version = load::get(&fields, "cniVersion");
        let version = version.map_or(String::new(), |version| {
            format!("  \"cniVersion\": {version},\n")
        });
        let name = load::get(&fields, "name").map_or("\"\"".to_owned(), Value::to_string);
        let head = format!("{{\n{version}  \"name\": {name},\n  \"plugins\": [\n    ");
        // Line ends are not part of a JSON string, so indenting changes only white space.
        let lines: Vec<_> = text
            .trim_ascii()
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end)
            .collect();
        let plugin = lines.join(&b"\n    "[..]);
        Self::parse([head.as_bytes(), &plugin, b"\n  ]\n}\n"].concat())
    }

    /// The network's name, which may be empty.
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

    /// The plugins' configurations, in the order of calls, without those that libcni appends from files.
    pub fn plugins(&self) -> &[Value] {
        self.document
            .get("plugins")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Whether `loadOnlyInlinedPlugins` forbids libcni to append plugins from files.
    pub fn loads_only_inlined(&self) -> bool {
        load::loads_only_inlined(&self.document)
    }

    /// Whether the list contains a plugin of this type.
    pub fn contains(&self, plugin_type: &str) -> bool {
        self.plugins()
            .iter()
            .any(|plugin| has_type(plugin, plugin_type))
    }

    /// Whether both lists have equal values, ignoring white space and the order of keys.
    pub fn has_same_values(&self, other: &Self) -> bool {
        self.document == other.document
    }

    /// Adds a chained plugin to the list exactly once: it replaces the first entry of its type, or is
    /// added at the end. Fails without a change if libcni would not load the entry, or if the list has
    /// no `plugins`.
    pub fn set_chained(&mut self, entry: &Value) -> Result<Change, ConfListError> {
        check_entry(entry)?;
        let wanted = plugin_type(entry).unwrap_or_default();
        let same: Vec<_> = self
            .plugins()
            .iter()
            .filter(|plugin| has_type(plugin, wanted))
            .collect();
        match same.as_slice() {
            [] => self.append(entry),
            [only] if *only == entry => Ok(Change::Unchanged),
            _ => self.replace(wanted, entry),
        }
    }

    /// Removes every entry of a type from the list.
    pub fn remove(&mut self, plugin_type: &str) -> Change {
        let positions = self.positions(plugin_type);
        self.remove_all(&positions);
        if positions.is_empty() {
            Change::Unchanged
        } else {
            Change::Removed
        }
    }

    /// Replaces the first entry of another type, and removes further ones of that type. Changes
    /// nothing if there is none. Fails without a change if libcni would not load the entry.
    pub fn replace(&mut self, other: &str, entry: &Value) -> Result<Change, ConfListError> {
        check_entry(entry)?;
        Ok(self.replace_text(other, |space, text| layout::format(entry, space, text)))
    }

    /// Replaces the first entry of another type, and keeps the text of the replaced entry in a field of
    /// the list, from which [`ConfList::restore`] restores it.
    pub fn set_aside(
        &mut self,
        other: &str,
        entry: &Value,
        field: &str,
    ) -> Result<Change, ConfListError> {
        let Some(first) = self.positions(other).into_iter().next() else {
            return Ok(Change::Unchanged);
        };
        let theirs = self.element_text(first).to_vec();
        let change = self.replace(other, entry)?;
        self.set_field_text(field, &theirs);
        Ok(change)
    }

    /// Removes a field that keeps an entry, and puts the entry's text in the place of the first entry of
    /// a type, or at the end. Returns whether it did; a value that is not an entry is removed only.
    pub fn restore(&mut self, field: &str, plugin_type: &str) -> bool {
        let Some(member) = self.members(field).pop() else {
            return false;
        };
        let theirs = self.text[member.value].to_vec();
        let value = self.remove_field(field).unwrap_or_default();
        if load::check_plugin(field, &value).is_err() {
            return false;
        }
        let text = || theirs.clone();
        if !self.replace_text(plugin_type, |_, _| text()).is_change() {
            self.append_text(|_, _| text());
        }
        true
    }

    /// A field of the list itself, such as `disableCheck`.
    pub fn field(&self, key: &str) -> Option<&Value> {
        self.document.get(key)
    }

    /// Sets a field of the list itself; a new one is added at the end. Fails without a change if libcni
    /// would not load the new list.
    pub fn set_field(&mut self, key: &str, value: &Value) -> Result<(), ConfListError> {
        let mut changed = self.clone();
        let space = self.member_space();
        changed.set_field_text(key, &layout::format(value, &space, &self.text));
        load::check_list(&changed.document)?;
        *self = changed;
        Ok(())
    }

    /// Removes and returns a field of the list itself, except `name` and `plugins`.
    pub fn remove_field(&mut self, key: &str) -> Option<Value> {
        if matches!(key, "name" | "plugins") {
            return None;
        }
        let value = self.document.get(key).cloned()?;
        while let Some(at) = scan::members(&self.text)
            .iter()
            .position(|member| member.key == key)
        {
            let members = scan::members(&self.text);
            let ranges: Vec<_> = members.into_iter().map(|member| member.whole).collect();
            self.splice(item_range(&ranges, at), b"");
        }
        Some(value)
    }

    /// The text of the list.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    fn append(&mut self, entry: &Value) -> Result<Change, ConfListError> {
        if !self.append_text(|space, text| layout::format(entry, space, text)) {
            let plugins = self.document.get("plugins");
            return Err(field("plugins", plugins, "a list of plugin configurations"));
        }
        Ok(Change::Appended)
    }

    fn append_text(&mut self, format: impl Fn(&[u8], &[u8]) -> Vec<u8>) -> bool {
        let elements = self.elements();
        let Some(last) = elements.last() else {
            return false;
        };
        let space = layout::space_before(&self.text, last.start);
        let entry = [b",", space, &format(space, &self.text)].concat();
        self.splice(last.end..last.end, &entry);
        true
    }

    fn replace_text(&mut self, other: &str, format: impl Fn(&[u8], &[u8]) -> Vec<u8>) -> Change {
        let positions = self.positions(other);
        let Some((first, further)) = positions.split_first() else {
            return Change::Unchanged;
        };
        self.remove_all(further);
        if let Some(range) = self.elements().get(*first).cloned() {
            let space = layout::space_before(&self.text, range.start);
            let entry = format(space, &self.text);
            self.splice(range, &entry);
        }
        Change::Replaced
    }

    fn remove_all(&mut self, positions: &[usize]) {
        for position in positions.iter().rev() {
            let range = item_range(&self.elements(), *position);
            self.splice(range, b"");
        }
    }

    fn set_field_text(&mut self, key: &str, value: &[u8]) {
        if let Some(member) = self.members(key).pop() {
            return self.splice(member.value, value);
        }
        let end = scan::members(&self.text)
            .last()
            .map_or(0, |last| last.whole.end);
        let key = Value::from(key).to_string();
        let space = self.member_space();
        let member = [b",", &space[..], key.as_bytes(), b": ", value].concat();
        self.splice(end..end, &member);
    }

    /// The white space before the last member of the document.
    fn member_space(&self) -> Vec<u8> {
        let members = scan::members(&self.text);
        let start = members.last().map_or(0, |last| last.whole.start);
        layout::space_before(&self.text, start).to_vec()
    }

    fn members(&self, key: &str) -> Vec<scan::Member> {
        let mut members = scan::members(&self.text);
        members.retain(|member| member.key == key);
        members
    }

    /// The ranges of the plugins. If `plugins` is repeated, the last one counts.
    fn elements(&self) -> Vec<Range<usize>> {
        let plugins = self.members("plugins").pop();
        plugins.map_or(Vec::new(), |plugins| {
            scan::elements(&self.text, &plugins.value)
        })
    }

    fn element_text(&self, position: usize) -> &[u8] {
        let range = self.elements().get(position).cloned();
        range.map_or(&[], |range| &self.text[range])
    }

    fn positions(&self, plugin_type: &str) -> Vec<usize> {
        let plugins = self.plugins().iter().enumerate();
        plugins
            .filter(|(_, plugin)| has_type(plugin, plugin_type))
            .map(|(position, _)| position)
            .collect()
    }

    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        self.text.splice(range, with.iter().copied());
        self.document = decode::decode(&self.text)
            .map_err(ConfListError::Json)
            .and_then(object)
            .expect("an edit replaces whole values by whole values");
    }
}

impl Change {
    /// Whether the list changed.
    pub fn is_change(self) -> bool {
        self != Self::Unchanged
    }
}

/// Decodes JSON as libcni does: in strings, bytes that are not UTF-8, and surrogates without their other
/// half, become U+FFFD.
pub fn parse_json(text: &[u8]) -> Result<Value, serde_json::Error> {
    decode::decode(text)
}

/// Fails if libcni would not load the plugin's configuration.
pub fn check_entry(entry: &Value) -> Result<(), ConfListError> {
    load::check_plugin("entry", entry)?;
    load::check_number("entry", entry)
}

/// The type of a plugin's configuration, as libcni reads it: the key is matched in upper and lower case.
pub fn plugin_type(plugin: &Value) -> Option<&str> {
    load::get(plugin.as_object()?, "type")?.as_str()
}

fn has_type(plugin: &Value, wanted: &str) -> bool {
    plugin_type(plugin) == Some(wanted)
}

/// The range of an item with its comma: the one before it, or after it for the first item.
fn item_range(items: &[Range<usize>], position: usize) -> Range<usize> {
    let item = items[position].clone();
    match (position.checked_sub(1), items.get(position + 1)) {
        (Some(before), _) => items[before].end..item.end,
        (None, Some(after)) => item.start..after.start,
        (None, None) => item,
    }
}

fn object(value: Value) -> Result<Map<String, Value>, ConfListError> {
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(field("document", Some(&other), "an object")),
    }
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
