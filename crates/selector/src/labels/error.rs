//! Errors in label selectors.

use crate::quoted::Quoted;

const KEY_RULE: &str = "expected at most 63 letters, digits, `-`, `_` and `.` that start and end with a \
                        letter or digit, optionally after a DNS name and `/`";
const VALUE_RULE: &str = "expected an empty value or at most 63 letters, digits, `-`, `_` and `.` that \
                          start and end with a letter or digit";

/// Why a text is not a valid label selector. Positions count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelSelectorError {
    /// The text is empty.
    #[error(
        "label selector is empty, expected at least one requirement such as `mesh=off` or `!mesh`"
    )]
    Empty,
    /// The text has an unexpected character or word, or it ends too early.
    #[error(
        "label selector {} at position {position}, expected {expected}",
        found.as_deref().map_or("ends".to_owned(), |found| format!("has {}", Quoted(found)))
    )]
    Unexpected {
        /// The character or word; `None` at the end of the text.
        found: Option<String>,
        /// Its position.
        position: usize,
        /// What is allowed there.
        expected: &'static str,
    },
    /// Not a valid label key.
    #[error(
        "label selector has key {} at position {position}, {KEY_RULE}",
        Quoted(key)
    )]
    Key {
        /// The key.
        key: String,
        /// Where it starts.
        position: usize,
    },
    /// Not a valid label value.
    #[error(
        "label selector has value {} at position {position}, {VALUE_RULE}",
        Quoted(value)
    )]
    Value {
        /// The value.
        value: String,
        /// Where it starts.
        position: usize,
    },
}

/// Why an object is not a valid label selector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorObjectError {
    /// It does not have the fields of a label selector.
    #[error(transparent)]
    Fields(#[from] serde_json::Error),
    /// Not a valid label key.
    #[error("{} is not a label key: {KEY_RULE}", Quoted(key))]
    Key {
        /// The key.
        key: String,
    },
    /// Not a valid label value.
    #[error(
        "{} is not a value of label {}: {VALUE_RULE}",
        Quoted(value),
        Quoted(key)
    )]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// An operator that needs values has none.
    #[error("operator `{operator}` needs at least one of `values`")]
    NoValues {
        /// The operator.
        operator: String,
    },
    /// An operator that has no values has some.
    #[error("operator `{operator}` has `values`: remove them")]
    Values {
        /// The operator.
        operator: String,
    },
}
