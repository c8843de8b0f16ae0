//! A place in a document, which knows its path when something is wrong there.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::error::ManifestError;
use crate::quoted::Quoted;

/// A value of the document, and how it was reached.
#[derive(Clone, Copy)]
pub(super) struct Node<'v, 'p> {
    value: &'v Value,
    path: Path<'p>,
}

/// The way from the root, as a chain of steps on the stack: text is made of it only for an error.
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

    /// The field, if it is there; `null` counts as absent, as in Kubernetes.
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

    /// The field, which must be there.
    pub(super) fn require<'s>(&'s self, name: &'s str) -> Result<Node<'v, 's>, ManifestError> {
        self.field(name)?.ok_or_else(|| self.missing(name))
    }

    /// What to say where a field must be and is not.
    pub(super) fn missing(&self, name: &str) -> ManifestError {
        ManifestError::Missing {
            path: Path::Field(&self.path, name).to_string(),
        }
    }

    /// The text in the field, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'v str>, ManifestError> {
        self.field(name)?.map(|node| node.string()).transpose()
    }

    /// The whole number in the field, if it is there.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, ManifestError> {
        let read = |node: Node<'v, '_>| {
            let number = node.value.as_i64();
            number.ok_or_else(|| node.wrong("a whole number"))
        };
        self.field(name)?.map(read).transpose()
    }

    /// The boolean in the field, if it is there.
    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, ManifestError> {
        let read = |node: Node<'v, '_>| {
            let boolean = node.value.as_bool();
            boolean.ok_or_else(|| node.wrong("`true` or `false`"))
        };
        self.field(name)?.map(read).transpose()
    }

    /// The items of the list in the field, each as `read` sees it; an absent list is empty.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Node<'v, '_>) -> Result<T, ManifestError>,
    ) -> Result<Vec<T>, ManifestError> {
        let mut items = Vec::new();
        if let Some(list) = self.field(name)? {
            list.for_each_item(|item| {
                items.push(read(item)?);
                Ok(())
            })?;
        }
        Ok(items)
    }

    /// The items of the list in the field, which must be there and hold something.
    pub(super) fn some_list<T>(
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

    /// Calls `visit` for each item of this list.
    pub(super) fn for_each_item(
        &self,
        mut visit: impl FnMut(&Node<'v, '_>) -> Result<(), ManifestError>,
    ) -> Result<(), ManifestError> {
        let Value::Array(items) = self.value else {
            return Err(self.wrong("a list"));
        };
        let mut items = items.iter().enumerate();
        items.try_for_each(|(place, value)| {
            visit(&Node {
                value,
                path: Path::Item(&self.path, place),
            })
        })
    }

    /// The names and texts in the field; an absent object is empty.
    pub(super) fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, ManifestError> {
        let Some(object) = self.field(name)? else {
            return Ok(BTreeMap::new());
        };
        let Value::Object(fields) = object.value else {
            return Err(object.wrong("an object"));
        };
        let entry = |(key, value): (&String, &Value)| {
            let text = Node {
                value,
                path: Path::Key(&object.path, key),
            }
            .string()?;
            Ok((key.clone(), text.to_owned()))
        };
        fields.iter().map(entry).collect()
    }

    /// This text.
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
            Self::Item(parent, place) => write!(f, "{parent}[{place}]"),
        }
    }
}
