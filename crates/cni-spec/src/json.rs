//! Taking typed fields out of a JSON object by hand, keeping the rest and naming what is wrong.
//!
//! Derived `flatten` and untagged types cannot be used for this: they do not see numbers that
//! keep their spelling.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use crate::CniError;

/// What an address of a result must be.
pub(crate) const NETWORK: &str = "an address with its prefix length, such as 10.0.0.2/24";

/// An object whose fields are taken one by one; what stays is unknown here and kept.
#[derive(Debug)]
pub(crate) struct Object {
    path: String,
    fields: Map<String, Value>,
}

impl Object {
    /// The object at `path`, which only error messages use.
    pub(crate) fn new(path: &str, value: &Value) -> Result<Self, CniError> {
        match value {
            Value::Object(fields) => Ok(Self {
                path: path.to_owned(),
                fields: fields.clone(),
            }),
            other => Err(wrong(path, other, "an object")),
        }
    }

    /// The fields that nobody has taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.fields
    }

    /// The path of a field, `ips[0].address`.
    pub(crate) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// A field's value; `null` counts as absent.
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

    pub(crate) fn number(&mut self, key: &str) -> Result<Option<u32>, CniError> {
        let number = |value: &Value| value.as_u64().and_then(|wide| u32::try_from(wide).ok());
        self.convert(key, "a whole number from 0 to 4294967295", number)
    }

    pub(crate) fn network(&mut self, key: &str) -> Result<Option<IpNetwork>, CniError> {
        self.convert(key, NETWORK, |value| network(value.as_str()?))
    }

    pub(crate) fn address(&mut self, key: &str) -> Result<Option<IpAddr>, CniError> {
        // The empty text is what some plugins write for "no gateway".
        if self.fields.get(key).and_then(Value::as_str) == Some("") {
            self.fields.shift_remove(key);
        }
        let address = |value: &Value| value.as_str()?.parse().ok();
        self.convert(key, "an IPv4 or IPv6 address", address)
    }

    pub(crate) fn map(&mut self, key: &str) -> Result<Option<Map<String, Value>>, CniError> {
        self.convert(key, "an object", |value| value.as_object().cloned())
    }

    pub(crate) fn object(&mut self, key: &str) -> Result<Option<Self>, CniError> {
        let path = self.path_of(key);
        self.take(key)
            .map(|value| Self::new(&path, &value))
            .transpose()
    }

    /// The objects of a list; absent is empty.
    pub(crate) fn objects(&mut self, key: &str) -> Result<Vec<Self>, CniError> {
        let path = self.path_of(key);
        let items = self.convert(key, "a list of objects", |value| value.as_array().cloned())?;
        let items = items.unwrap_or_default().into_iter().enumerate();
        items
            .map(|(at, item)| Self::new(&format!("{path}[{at}]"), &item))
            .collect()
    }

    /// The texts of a list; absent is empty.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<String>, CniError> {
        let texts = |value: &Value| {
            let items = value.as_array()?.iter();
            items.map(|item| item.as_str().map(str::to_owned)).collect()
        };
        Ok(self
            .convert(key, "a list of strings", texts)?
            .unwrap_or_default())
    }

    /// The value of a field that must be there.
    pub(crate) fn required<T>(
        &self,
        key: &str,
        expected: &str,
        found: Option<T>,
    ) -> Result<T, CniError> {
        found.ok_or_else(|| missing(&self.path_of(key), expected))
    }

    /// Takes a field and turns it into what is wanted, or says what would have been right.
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
            None => Err(wrong(&self.path_of(key), &value, expected)),
        }
    }
}

/// `ips[0].address`, or the key alone at the top.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The value as JSON in one line, shortened to what a message can bear.
pub(crate) fn excerpt(value: &Value) -> String {
    const LONGEST: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

pub(crate) fn wrong(path: &str, value: &Value, expected: &str) -> CniError {
    let path = if path.is_empty() { "document" } else { path };
    CniError::config(format!(
        "field `{path}` is `{}`, but must be {expected}",
        excerpt(value)
    ))
}

pub(crate) fn missing(path: &str, expected: &str) -> CniError {
    CniError::config(format!("field `{path}` is missing, but must be {expected}"))
}

/// `ADDRESS/LENGTH`; a bare address or a dotted mask is not CIDR notation.
pub(crate) fn network(text: &str) -> Option<IpNetwork> {
    let (address, length) = text.split_once('/')?;
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    IpNetwork::new(address.parse().ok()?, length.parse().ok()?).ok()
}
