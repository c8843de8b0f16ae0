//! The kinds of objects that the agent reads, and pages of lists of them.

use mesh_cni_text::truncated;
use serde_json::Value;

use crate::api_error::{ApiError, invalid};
use crate::decode::{Decoded, Keep, decode};

/// The most that a message repeats of an object's name, in bytes. Valid names are shorter.
const MAX_NAME: usize = 253;

/// A kind of object that the agent reads.
pub trait Object: Sized + Send + 'static {
    /// The fields that are used, `metadata.resourceVersion` among them.
    const KEEP: &'static Keep;

    /// A list of such objects.
    const LIST: &'static Keep = &Keep::Fields(&[
        ("metadata", &Keep::All),
        ("items", &Keep::Items(Self::KEEP)),
    ]);

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

/// One page of a list.
pub struct Page<O> {
    /// The version of the list.
    pub version: String,
    /// The token for the next page; empty for the last page.
    pub next: String,
    /// The objects, or why one cannot be read.
    pub items: Vec<Result<O, String>>,
}

/// The names of the objects in a page, when nothing else of it can be read.
struct NameOnly;

impl Object for NameOnly {
    const KEEP: &'static Keep = &Keep::Fields(&[(
        "metadata",
        &Keep::Fields(&[("namespace", &Keep::All), ("name", &Keep::All)]),
    )]);

    fn from_object(_object: &Value) -> Result<Self, &'static str> {
        Err("it is too large or not valid JSON")
    }
}

impl<O: Object> Page<O> {
    /// Reads a page. Also returns whether values are missing in it because there are too many.
    pub fn from_body(body: &[u8]) -> Result<(Self, bool), ApiError> {
        let Decoded { value, is_cut } = decode(body, O::LIST).map_err(invalid)?;
        let mut list = value;
        let metadata = |field: &str| list["metadata"][field].as_str().unwrap_or_default();
        let (version, next) = (metadata("resourceVersion"), metadata("continue"));
        if version.is_empty() {
            return Err(invalid("a list without `resourceVersion`"));
        }
        let (version, next) = (version.to_owned(), next.to_owned());
        let items = match list["items"].take() {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            _ => return Err(invalid("`items` is not a list")),
        };
        let items = items.iter().map(|item| read(item, is_cut)).collect();
        let page = Self {
            version,
            next,
            items,
        };
        Ok((page, is_cut))
    }

    /// Reads a page of which only the metadata was requested. None of its objects can be read.
    pub(crate) fn from_metadata(body: &[u8]) -> Result<Self, ApiError> {
        let (page, _is_cut) = Page::<NameOnly>::from_body(body)?;
        Ok(Self {
            version: page.version,
            next: page.next,
            items: page
                .items
                .into_iter()
                .filter_map(Result::err)
                .map(Err)
                .collect(),
        })
    }
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
