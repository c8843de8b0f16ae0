//! A namespace.

use std::collections::BTreeMap;

use mesh_cni_selector::{Mesh, PodFacts};
use serde_json::Value;

use crate::decode::Keep;
use crate::object::Object;

/// The labels or annotations of an object.
pub type Labels = BTreeMap<String, String>;

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// Those of `metadata.annotations` that belong to a mesh.
    pub annotations: Labels,
}

impl Namespace {
    /// Adds this namespace's labels and annotations to the facts about a pod in it.
    pub fn add_to(self, facts: &mut PodFacts) {
        facts.namespace_labels = Some(self.labels);
        facts.namespace_annotations = Some(self.annotations);
    }
}

impl Object for Namespace {
    const KEEP: &'static Keep = &Keep::Fields(&[(
        "metadata",
        &Keep::Fields(&[
            ("name", &Keep::All),
            ("labels", &Keep::All),
            ("annotations", &Keep::All),
            ("resourceVersion", &Keep::All),
        ]),
    )]);

    const METADATA_ONLY: bool = true;

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let name = object["metadata"]["name"].as_str();
        let mut annotations = labels(&object["metadata"]["annotations"]);
        annotations.retain(|key, _| Mesh::is_annotation_of_any(key));
        Ok(Self {
            name: name
                .ok_or("a namespace without `metadata.name`")?
                .to_owned(),
            labels: labels(&object["metadata"]["labels"]),
            annotations,
        })
    }
}

/// Reads `metadata.labels` or `metadata.annotations` of an object. A value that is not text is skipped.
pub fn labels(labels: &Value) -> Labels {
    labels
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
