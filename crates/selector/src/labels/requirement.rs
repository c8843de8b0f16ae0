//! One requirement of a label selector: a key and the values that it may have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::error::LabelSelectorError;
use crate::names::is_dns_subdomain;

/// The maximum length of a value and of the name part of a key, in bytes.
const MAX_LENGTH: usize = 63;

/// A condition on the label `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    key: String,
    operator: Operator,
}

/// The operator and the values that it compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// The label has one of these values.
    In(BTreeSet<String>),
    /// The label is absent or has none of these values.
    NotIn(BTreeSet<String>),
    /// The label is present.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl Requirement {
    /// Expects that [`check_key`] and [`check_value`] accept the key and the values.
    pub(super) fn new(key: &str, operator: Operator) -> Self {
        Self {
            key: key.to_owned(),
            operator,
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.operator {
            Operator::In(values) => write_values(f, key, ["=", "in"], values),
            Operator::NotIn(values) => write_values(f, key, ["!=", "notin"], values),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

/// Checks that the text is a valid label key, `[prefix/]name`.
pub(super) fn check_key(key: &str, position: usize) -> Result<(), LabelSelectorError> {
    if is_key(key) {
        return Ok(());
    }
    Err(LabelSelectorError::Key {
        key: key.to_owned(),
        position,
    })
}

/// Checks that the text is a valid label value.
pub(super) fn check_value(value: &str, position: usize) -> Result<(), LabelSelectorError> {
    if is_value(value) {
        return Ok(());
    }
    Err(LabelSelectorError::Value {
        value: value.to_owned(),
        position,
    })
}

/// Writes a single value with the first operator, others with the second.
fn write_values(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    [one, many]: [&str; 2],
    values: &BTreeSet<String>,
) -> fmt::Result {
    let joined = values
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(",");
    if values.len() == 1 {
        write!(f, "{key}{one}{joined}")
    } else {
        write!(f, "{key} {many} ({joined})")
    }
}

pub(super) fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    !name.is_empty() && is_value(name) && prefix.is_none_or(is_dns_subdomain)
}

/// Whether the text is a valid label value, which may be empty.
pub(super) fn is_value(text: &str) -> bool {
    let is_alphanumeric = |character: char| character.is_ascii_alphanumeric();
    text.len() <= MAX_LENGTH
        && text
            .chars()
            .all(|character| is_alphanumeric(character) || "-_.".contains(character))
        && (text.is_empty() || text.starts_with(is_alphanumeric) && text.ends_with(is_alphanumeric))
}
