//! What can be wrong with a manifest.

use super::{HOW_TO_GET_ONE, MAX_MANIFEST_BYTES};
use crate::quoted::Quoted;

/// Why a text is no manifest of one pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The text is longer than any object that Kubernetes stores.
    #[error("manifest has {bytes} bytes, at most {MAX_MANIFEST_BYTES} are read")]
    TooLarge {
        /// The length in bytes.
        bytes: usize,
    },
    /// There is nothing in it.
    #[error("manifest is empty, expected a Pod: {HOW_TO_GET_ONE}")]
    Empty,
    /// The text is not what its first sign promises, or it breaks a bound on depth and size.
    #[error("manifest is not readable as {format} at line {line}, column {column}")]
    Syntax {
        /// What it was read as.
        format: ManifestFormat,
        /// The line, from 1; 0 where it is unknown.
        line: u64,
        /// The column, from 1; 0 where it is unknown.
        column: u64,
        /// What is wrong there.
        #[source]
        reason: SyntaxReason,
    },
    /// There is more than one document in it.
    #[error("manifest holds {count} documents, expected one Pod: {HOW_TO_GET_ONE}")]
    MultipleDocuments {
        /// How many there are, blank ones aside.
        count: usize,
    },
    /// It is another object than a Pod.
    #[error("`kind` is {}, expected `Pod`: {HOW_TO_GET_ONE}", Quoted(kind))]
    Kind {
        /// The kind, with its `apiVersion` before it where that is not `v1`.
        kind: String,
    },
    /// It is a list with no Pod in it, or with several.
    #[error("list holds {count} pods, expected exactly one: {HOW_TO_GET_ONE}")]
    PodCount {
        /// How many Pods it holds.
        count: usize,
    },
    /// A field that every Pod has is absent.
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
        /// The type it has, and the value where that is short.
        found: String,
        /// The type it should have.
        expected: &'static str,
    },
}

/// In which form a manifest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestFormat {
    /// YAML.
    Yaml,
    /// JSON, taken for granted where the first sign is `{`.
    Json,
}

/// What a parser found wrong, in its own words, on one line.
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
