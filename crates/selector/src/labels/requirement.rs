//! One part of a label selector: a key and what its value must be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::error::LabelSelectorError;
use crate::names::is_dns_subdomain;

/// Longest name part of a key, and longest value.
const LONGEST_NAME: usize = 63;

/// A condition on the label `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    key: String,
    operator: Operator,
}

/// What must be true of the label's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// The label is there, with one of these values.
    In(BTreeSet<String>),
    /// The label is absent or has none of these values.
    NotIn(BTreeSet<String>),
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl Requirement {
    /// The key and the values have been looked at by [`check_key`] and [`check_value`].
    pub(super) fn new(key: &str, operator: Operator) -> Self {
        Self {
            key: key.to_owned(),
            operator,
        }
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
            Operator::In(values) => write_values(f, key, "=", "in", values),
            Operator::NotIn(values) => write_values(f, key, "!=", "notin", values),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

/// Refuses a key that no label can have: `[prefix/]name`.
pub(super) fn check_key(key: &str, position: usize) -> Result<(), LabelSelectorError> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if !name.is_empty() && is_name(name) && prefix.is_none_or(is_dns_subdomain) {
        return Ok(());
    }
    Err(LabelSelectorError::Key {
        key: key.to_owned(),
        position,
    })
}

/// Refuses a value that no label can have.
pub(super) fn check_value(value: &str, position: usize) -> Result<(), LabelSelectorError> {
    if is_name(value) {
        return Ok(());
    }
    Err(LabelSelectorError::Value {
        value: value.to_owned(),
        position,
    })
}

fn write_values(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    one: &str,
    many: &str,
    values: &BTreeSet<String>,
) -> fmt::Result {
    let mut values = values.iter();
    match (values.next(), values.len()) {
        (Some(value), 0) => write!(f, "{key}{one}{value}"),
        (first, _) => {
            write!(f, "{key} {many} (")?;
            for (place, value) in first.into_iter().chain(values).enumerate() {
                let comma = if place > 0 { "," } else { "" };
                write!(f, "{comma}{value}")?;
            }
            f.write_str(")")
        }
    }
}

fn is_name(text: &str) -> bool {
    let inner = |sign: u8| sign.is_ascii_alphanumeric() || matches!(sign, b'-' | b'_' | b'.');
    text.len() <= LONGEST_NAME && text.bytes().all(inner) && has_alphanumeric_ends(text)
}

/// True of the empty text too.
fn has_alphanumeric_ends(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.into_iter()
        .flatten()
        .all(|sign| sign.is_ascii_alphanumeric())
}
