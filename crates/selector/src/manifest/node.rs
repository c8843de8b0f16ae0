//! A value of a document, with its path for error messages.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::error::ManifestError;
use crate::quoted::Quoted;

/// A value and its path.
#[derive(Clone, Copy)]
pub(super) struct Node<'v, 'p> {
    value: &'v Value,
    path: Path<'p>,
}

/// The path from the root, as a linked list on the stack; only an error formats it.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Key(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl<'v> Node<'v, '_> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self {
            value,
            path: Path::Root,
        }
    }

    /// The value itself.
    pub(super) fn value(&self) -> &'v Value {
        self.value
    }

    /// The field, if present; as in Kubernetes, `null` counts as absent.
    pub(super) fn field<'s>(
        &'s self,
        name: &'s str,
    ) -> Result<Option<Node<'v, 's>>, ManifestError> {
        let Value::Object(fields) = self.value else {
            return Err(self.wrong("an object"));
        };
        let value = fields.get(name).filter(|value| !value.is_null());
        Ok(value.map(|value| Node {
            value,
            path: Path::Field(&self.path, name),
        }))
    }

    /// The required field.
    pub(super) fn require<'s>(&'s self, name: &'s str) -> Result<Node<'v, 's>, ManifestError> {
        self.field(name)?.ok_or_else(|| self.missing(name))
    }

    /// The error for a required field that is absent.
    pub(super) fn missing(&self, name: &str) -> ManifestError {
        ManifestError::Missing {
            path: Path::Field(&self.path, name).to_string(),
        }
    }

    /// The string in the field, if present.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'v str>, ManifestError> {
        self.field(name)?.map(|node| node.string()).transpose()
    }

    /// The whole number in the field, if present.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, ManifestError> {
        self.scalar(name, Value::as_i64, "a whole number")
    }

    /// The boolean in the field, if present.
    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, ManifestError> {
        self.scalar(name, Value::as_bool, "`true` or `false`")
    }

    fn scalar<T>(
        &self,
        name: &str,
        read: fn(&Value) -> Option<T>,
        expected: &'static str,
    ) -> Result<Option<T>, ManifestError> {
        self.field(name)?
            .map(|node| read(node.value).ok_or_else(|| node.wrong(expected)))
            .transpose()
    }

    /// The items of the list in the field, converted by `read`; empty if the field is absent.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Node<'v, '_>) -> Result<T, ManifestError>,
    ) -> Result<Vec<T>, ManifestError> {
        match self.field(name)? {
            Some(list) => list.items()?.map(|item| read(&item)).collect(),
            None => Ok(Vec::new()),
        }
    }

    /// As [`list`](Self::list), for a field that must be present and not empty.
    pub(super) fn non_empty_list<T>(
        &self,
        name: &str,
        read: impl Fn(&Node<'v, '_>) -> Result<T, ManifestError>,
    ) -> Result<Vec<T>, ManifestError> {
        let list = self.require(name)?;
        let items = self.list(name, read)?;
        if items.is_empty() {
            let path = Path::Item(&list.path, 0).to_string();
            return Err(ManifestError::Missing { path });
        }
        Ok(items)
    }

    /// The items of this list.
    pub(super) fn items(&self) -> Result<impl Iterator<Item = Node<'v, '_>>, ManifestError> {
        let Value::Array(items) = self.value else {
            return Err(self.wrong("a list"));
        };
        Ok(items.iter().enumerate().map(|(index, value)| Node {
            value,
            path: Path::Item(&self.path, index),
        }))
    }

    /// The object of strings in the field; empty if the field is absent.
    pub(super) fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, ManifestError> {
        let Some(object) = self.field(name)? else {
            return Ok(BTreeMap::new());
        };
        let Value::Object(fields) = object.value else {
            return Err(object.wrong("an object"));
        };
        fields
            .iter()
            .map(|(key, value)| {
                let path = Path::Key(&object.path, key);
                Ok((key.clone(), Node { value, path }.string()?.to_owned()))
            })
            .collect()
    }

    /// The value as a string.
    pub(super) fn string(&self) -> Result<&'v str, ManifestError> {
        match self.value {
            Value::String(text) => Ok(text),
            Value::Bool(_) | Value::Number(_) => Err(self.wrong("a string, so put it in quotes")),
            _ => Err(self.wrong("a string")),
        }
    }

    fn wrong(&self, expected: &'static str) -> ManifestError {
        let found = match self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => format!("the boolean `{value}`"),
            Value::Number(value) => format!("the number {}", Quoted(&value.to_string())),
            Value::String(value) => format!("the string {}", Quoted(value)),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        ManifestError::Type {
            path: self.path.to_string(),
            found,
            expected,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("manifest"),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Key(parent, name) => write!(f, "{parent}[{name:?}]"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
