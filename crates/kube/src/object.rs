//! The kinds of objects that the agent reads.

use mesh_cni_text::truncated;
use serde_json::Value;

use crate::decode::Keep;

/// The most that a message repeats of an object's name, in bytes. Valid names are shorter.
const MAX_NAME: usize = 253;

/// A kind of object that the agent reads.
pub trait Object: Sized + Send + 'static {
    /// The fields that are used, `metadata.resourceVersion` among them.
    const KEEP: &'static Keep;

    /// Whether the used fields are all in `metadata`. Then the API server is asked for nothing else
    /// (`PartialObjectMetadata`).
    const METADATA_ONLY: bool = false;

    /// An event of a watch of such objects.
    const EVENT: &'static Keep = &Keep::Fields(&[("type", &Keep::All), ("object", Self::KEEP)]);

    /// Reads the object from its used fields.
    fn from_object(object: &Value) -> Result<Self, &'static str>;

    /// The same object, if some of its fields were not decoded because there are too many.
    #[must_use]
    fn too_large(self) -> Self {
        self
    }
}

/// An object with its `resourceVersion`.
pub struct Versioned<O> {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// The object.
    pub object: O,
}

/// The object, or what is wrong with which one.
pub(crate) fn read<O: Object>(object: &Value, is_cut: bool) -> Result<O, String> {
    match O::from_object(object) {
        Ok(object) if is_cut => Ok(object.too_large()),
        Ok(object) => Ok(object),
        Err(reason) => {
            let field = |name: &str| {
                let value = object["metadata"][name].as_str();
                truncated(value.unwrap_or_default(), MAX_NAME)
            };
            let (namespace, name) = (field("namespace"), field("name"));
            Err(format!("{namespace:?}/{name:?}: {reason}"))
        }
    }
}
