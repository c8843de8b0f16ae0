//! Reads a document in an annotation.

use serde_json::Value;

use super::document::{self, Limits};
use super::error::ManifestError;

/// Kubernetes allows 256 KiB for all annotations of an object.
const LIMITS: Limits = Limits {
    bytes: 256 * 1024,
    nodes: 20_000,
};

/// The YAML or JSON document in an annotation; `None` if the annotation is empty.
///
/// # Errors
///
/// If the text is not YAML, is too large, or contains several documents.
pub fn annotation_document(text: &str) -> Result<Option<Value>, ManifestError> {
    match document::single(text, LIMITS) {
        Ok(document) => Ok(Some(document)),
        Err(ManifestError::Empty) => Ok(None),
        Err(error) => Err(error),
    }
}
