//! Errors in the text of a label selector.

use crate::quoted::Quoted;

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
        "label selector has key {} at position {position}, expected at most 63 letters, digits, `-`, `_` and `.` that start and end with a letter or digit, optionally after a DNS name and `/`",
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
        "label selector has value {} at position {position}, expected an empty value or at most 63 letters, digits, `-`, `_` and `.` that start and end with a letter or digit",
        Quoted(value)
    )]
    Value {
        /// The value.
        value: String,
        /// Where it starts.
        position: usize,
    },
}
