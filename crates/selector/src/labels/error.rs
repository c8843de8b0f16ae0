//! What can be wrong with a label selector.

use crate::quoted::Quoted;

/// Why a text or an object is no label selector. Positions count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelSelectorError {
    /// There is no requirement at all.
    #[error(
        "label selector is empty, expected at least one requirement such as `mesh=off` or `!mesh`"
    )]
    Empty,
    /// A sign or word stands where another is needed.
    #[error(
        "label selector has {} at position {position}, expected {expected}",
        found_or_end(found.as_deref())
    )]
    Unexpected {
        /// What stands there; `None` for the end of the text.
        found: Option<String>,
        /// Where.
        position: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// A label's key breaks the rules for keys.
    #[error(
        "label selector has key {}{}, allowed are up to 63 letters, digits, `-`, `_` and `.` with a letter or digit at both ends, after an optional DNS name and `/`",
        Quoted(key), at(*position)
    )]
    Key {
        /// The key as given.
        key: String,
        /// Where it begins; `None` in the object form.
        position: Option<usize>,
    },
    /// A label's value breaks the rules for values.
    #[error(
        "label selector has value {}{}, allowed are nothing, or up to 63 letters, digits, `-`, `_` and `.` with a letter or digit at both ends",
        Quoted(value), at(*position)
    )]
    Value {
        /// The value as given.
        value: String,
        /// Where it begins; `None` in the object form.
        position: Option<usize>,
    },
    /// An operator that `matchExpressions` does not have.
    #[error(
        "label selector has operator {} for key {}, allowed are `In`, `NotIn`, `Exists` and `DoesNotExist`",
        Quoted(operator),
        Quoted(key)
    )]
    Operator {
        /// The key of the expression.
        key: String,
        /// The operator as given.
        operator: String,
    },
    /// `In` or `NotIn` without values, or `Exists` or `DoesNotExist` with some.
    #[error(
        "label selector has operator {} for key {} with {count} in `values`, expected {expected}",
        Quoted(operator),
        Quoted(key)
    )]
    ValueCount {
        /// The key of the expression.
        key: String,
        /// The operator.
        operator: String,
        /// How many values there are.
        count: usize,
        /// How many there should be.
        expected: &'static str,
    },
}

fn found_or_end(found: Option<&str>) -> String {
    match found {
        Some(found) => Quoted(found).to_string(),
        None => "its end".to_owned(),
    }
}

fn at(position: Option<usize>) -> String {
    position
        .map(|position| format!(" at position {position}"))
        .unwrap_or_default()
}
