//! Errors in a manifest.

use super::HOW_TO_GET_ONE;
use crate::quoted::Quoted;

/// Why a text is not the manifest of one pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The text is too long.
    #[error("manifest has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// The length in bytes.
        bytes: usize,
        /// The maximum.
        limit: usize,
    },
    /// The text contains no document.
    #[error("manifest is empty, expected a Pod: {HOW_TO_GET_ONE}")]
    Empty,
    /// The text is not valid YAML or JSON, or exceeds a limit on depth or size.
    #[error("manifest is not readable as {format} at line {line}, column {column}")]
    Syntax {
        /// The format that it was read as.
        format: ManifestFormat,
        /// The line, from 1; 0 if unknown.
        line: u64,
        /// The column, from 1; 0 if unknown.
        column: u64,
        /// What is wrong.
        #[source]
        reason: SyntaxReason,
    },
    /// The text contains several documents.
    #[error("manifest contains {count} documents, expected one Pod: {HOW_TO_GET_ONE}")]
    MultipleDocuments {
        /// How many, not counting empty ones.
        count: usize,
    },
    /// The object is not a Pod.
    #[error("`kind` is {}, expected `Pod`: {HOW_TO_GET_ONE}", Quoted(kind))]
    Kind {
        /// The kind, after its `apiVersion` unless that is `v1`.
        kind: String,
    },
    /// The list contains no Pod, or several.
    #[error("list contains {count} pods, expected exactly one: {HOW_TO_GET_ONE}")]
    PodCount {
        /// How many Pods it contains.
        count: usize,
    },
    /// A required field is missing.
    #[error("`{path}` is missing")]
    Missing {
        /// The field's path, such as `spec.containers[0].name`.
        path: String,
    },
    /// A field has the wrong type.
    #[error("`{path}` is {found}, expected {expected}")]
    Type {
        /// The field's path.
        path: String,
        /// The type and value that it has.
        found: String,
        /// The expected type.
        expected: &'static str,
    },
}

/// An invalid pod among others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("item {position}{}", name.as_ref().map(|name| format!(", pod {}", Quoted(name))).unwrap_or_default())]
pub struct InvalidItem {
    /// Its position among all objects of the text, from 1.
    pub position: usize,
    /// Its name, after its namespace and `/` if it has one.
    pub name: Option<String>,
    /// What is wrong with it.
    #[source]
    pub error: ManifestError,
}

/// The format of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestFormat {
    /// YAML.
    Yaml,
    /// JSON, if the text starts with `{`.
    Json,
}

/// The message of a YAML or JSON parser, on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SyntaxReason(pub(super) String);

impl std::fmt::Display for ManifestFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Yaml => "YAML",
            Self::Json => "JSON",
        })
    }
}
