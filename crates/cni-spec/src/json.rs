//! Typed access to the fields of a JSON object, which keeps unknown fields and names invalid ones.
//!
//! Derived `flatten` and untagged types cannot replace this: they reject numbers of
//! `arbitrary_precision`.

use std::net::IpAddr;
use std::str::FromStr;

use ipnetwork::IpNetwork;
use mesh_cni_text::escaped_json;
use serde_json::{Map, Value};

use crate::{CniError, NameError};

/// The expected form of an address in a result.
pub(crate) const NETWORK: &str = "an address with its prefix length, such as 10.0.0.2/24";

/// An object whose known fields are taken out one by one, until the unknown ones remain.
#[derive(Debug)]
pub(crate) struct Object {
    path: String,
    fields: Map<String, Value>,
}

impl Object {
    /// The object at `path`, which is used in error messages only.
    pub(crate) fn new(path: &str, value: &Value) -> Result<Self, CniError> {
        match value {
            Value::Object(fields) => Ok(Self::of_fields(path, fields.clone())),
            other => Err(invalid(path, other, "an object")),
        }
    }

    /// The object with these fields at `path`.
    pub(crate) fn of_fields(path: &str, fields: Map<String, Value>) -> Self {
        let path = path.to_owned();
        Self { path, fields }
    }

    /// The remaining fields.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.fields
    }

    /// The path of a field, such as `ips[0].address`.
    pub(crate) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Takes a field's value; `null` counts as absent.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.fields
            .shift_remove(key)
            .filter(|value| !value.is_null())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>, CniError> {
        self.convert(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// A string, where the empty one counts as absent.
    pub(crate) fn non_empty_text(&mut self, key: &str) -> Result<Option<String>, CniError> {
        Ok(self.text(key)?.filter(|text| !text.is_empty()))
    }

    pub(crate) fn required_text(&mut self, key: &str) -> Result<String, CniError> {
        let text = self.text(key)?;
        text.ok_or_else(|| self.missing(key, "a string"))
    }

    /// A required container id, interface name or network name.
    pub(crate) fn name<T: FromStr<Err = NameError>>(&mut self, key: &str) -> Result<T, CniError> {
        self.required_text(key)?
            .parse()
            .map_err(|error| CniError::config(format!("field `{}` {error}", self.path_of(key))))
    }

    pub(crate) fn number(&mut self, key: &str) -> Result<Option<u32>, CniError> {
        self.convert(key, "a whole number from 0 to 4294967295", |value| {
            u32::try_from(value.as_u64()?).ok()
        })
    }

    /// A required address with its prefix length.
    pub(crate) fn network(&mut self, key: &str) -> Result<IpNetwork, CniError> {
        let network = self.convert(key, NETWORK, |value| network(value.as_str()?))?;
        network.ok_or_else(|| self.missing(key, NETWORK))
    }

    pub(crate) fn address(&mut self, key: &str) -> Result<Option<IpAddr>, CniError> {
        // Some plugins write an empty string if there is no gateway.
        if self.fields.get(key).and_then(Value::as_str) == Some("") {
            self.fields.shift_remove(key);
        }
        self.convert(key, "an IPv4 or IPv6 address", |value| {
            value.as_str()?.parse().ok()
        })
    }

    pub(crate) fn map(&mut self, key: &str) -> Result<Option<Map<String, Value>>, CniError> {
        self.convert(key, "an object", |value| value.as_object().cloned())
    }

    /// The object in a field, converted by `read`.
    pub(crate) fn object<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Self) -> Result<T, CniError>,
    ) -> Result<Option<T>, CniError> {
        let path = self.path_of(key);
        self.take(key)
            .map(|value| read(Self::new(&path, &value)?))
            .transpose()
    }

    /// The objects of a list, converted by `read`; empty if the field is absent.
    pub(crate) fn objects<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(Self) -> Result<T, CniError>,
    ) -> Result<Vec<T>, CniError> {
        let path = self.path_of(key);
        self.convert(key, "a list of objects", |value| value.as_array().cloned())?
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(index, item)| read(Self::new(&format!("{path}[{index}]"), item)?))
            .collect()
    }

    /// The strings of a list; empty if the field is absent.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<String>, CniError> {
        let texts = self.convert(key, "a list of strings", |value| {
            value
                .as_array()?
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        })?;
        Ok(texts.unwrap_or_default())
    }

    /// Takes a field and converts it; the error names the expected form.
    pub(crate) fn convert<T>(
        &mut self,
        key: &str,
        expected: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, CniError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match convert(&value) {
            Some(converted) => Ok(Some(converted)),
            None => Err(invalid(&self.path_of(key), &value, expected)),
        }
    }

    fn missing(&self, key: &str, expected: &str) -> CniError {
        let path = self.path_of(key);
        CniError::config(format!("field `{path}` is missing, expected {expected}"))
    }
}

/// `ips[0].address`, or the key alone at the top level.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The value as JSON on one line, cut to a length that is readable in a message.
pub(crate) fn excerpt(value: &Value) -> String {
    const MAX_LENGTH: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{}…", escaped_json(&text[..end])),
        None => escaped_json(&text).into_owned(),
    }
}

pub(crate) fn invalid(path: &str, value: &Value, expected: &str) -> CniError {
    let path = if path.is_empty() { "document" } else { path };
    CniError::config(format!(
        "field `{path}` is `{}`, expected {expected}",
        excerpt(value)
    ))
}

/// Parses `ADDRESS/LENGTH`, where `LENGTH` must be a number of bits.
pub(crate) fn network(text: &str) -> Option<IpNetwork> {
    let (address, length) = text.split_once('/')?;
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    IpNetwork::new(address.parse().ok()?, length.parse().ok()?).ok()
}
