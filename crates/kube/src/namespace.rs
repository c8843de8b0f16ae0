//! A namespace.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::decode::Keep;
use crate::object::Object;

/// The labels of an object.
pub type Labels = BTreeMap<String, String>;

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: Labels,
}

impl Object for Namespace {
    const KEEP: &'static Keep = &Keep::Fields(&[(
        "metadata",
        &Keep::Fields(&[
            ("name", &Keep::All),
            ("labels", &Keep::All),
            ("resourceVersion", &Keep::All),
        ]),
    )]);

    const METADATA_ONLY: bool = true;

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let name = object["metadata"]["name"].as_str();
        Ok(Self {
            name: name
                .ok_or("a namespace without `metadata.name`")?
                .to_owned(),
            labels: labels(&object["metadata"]["labels"]),
        })
    }
}

/// Reads `metadata.labels` of an object. A value that is not text is skipped.
pub fn labels(labels: &Value) -> Labels {
    labels
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
