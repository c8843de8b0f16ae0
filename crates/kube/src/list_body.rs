//! The body of a list, decoded object by object while it arrives.
//!
//! The API server answers a list from its cache in one response, whatever its size. Only one object of
//! it is in memory at a time.

use mesh_cni_text::truncated;
use serde_json::Value;

use crate::api::MAX_OBJECT_BYTES;
use crate::api_error::{ApiError, invalid};
use crate::decode::{Keep, decode};
use crate::object::{Object, read};

/// The most bytes of a list without its objects.
const MAX_REST_BYTES: usize = 64 << 10;

/// The most that a message repeats of an object that cannot be read, in bytes: its start, where its
/// namespace and name are.
const MAX_START_BYTES: usize = 300;

/// What is kept of the buffer for one object, in bytes, after an object that was larger.
const KEPT_BUFFER_BYTES: usize = 64 << 10;

/// Splits the body of a list into its objects.
#[derive(Debug, Default)]
pub struct ListBody {
    /// How many objects and arrays are open.
    depth: usize,
    string: StringState,
    /// Whether the bytes belong to the array `items`.
    in_items: bool,
    /// Whether the list has had its array `items`.
    had_items: bool,
    /// The current object.
    object: Vec<u8>,
    /// Whether the current object is too large. Then only its start is kept.
    is_too_large: bool,
    /// Everything but the objects.
    rest: Vec<u8>,
    /// Where the last string of the list itself begins in `rest`.
    last_string: usize,
}

/// Whether a byte is in a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StringState {
    #[default]
    Outside,
    Inside,
    /// After a backslash.
    Escaped,
}

/// The metadata of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListMetadata {
    /// The version of the list.
    pub version: String,
    /// The token for the next page; empty for the last page.
    pub next: String,
}

impl ListBody {
    /// Takes the next bytes of the body, and passes on each object that is complete, or why it cannot
    /// be read.
    pub fn push<O: Object>(
        &mut self,
        bytes: &[u8],
        on_object: &mut impl FnMut(Result<O, String>),
    ) -> Result<(), ApiError> {
        // Bytes from here on are not in a buffer yet.
        let mut start = 0;
        for (index, byte) in bytes.iter().enumerate() {
            if self.string != StringState::Outside {
                self.string = self.string.after(*byte);
                continue;
            }
            match byte {
                b'"' => {
                    self.string = StringState::Inside;
                    if !self.in_items && self.depth == 1 {
                        self.last_string = self.rest.len() + index - start;
                    }
                }
                b'{' | b'[' => {
                    self.depth += 1;
                    if *byte == b'[' && self.depth == 2 && !self.in_items {
                        self.store(&bytes[start..=index])?;
                        start = index + 1;
                        self.in_items = self.is_after_items_key();
                        if self.in_items && std::mem::replace(&mut self.had_items, true) {
                            return Err(invalid("a list with `items` twice"));
                        }
                    }
                }
                b'}' | b']' => {
                    if self.in_items && self.depth == 2 {
                        self.store(&bytes[start..index])?;
                        start = index;
                        self.finish_object(on_object);
                        self.in_items = false;
                    }
                    let depth = self.depth.checked_sub(1);
                    self.depth = depth.ok_or_else(|| invalid("a list with too many brackets"))?;
                }
                b',' if self.in_items && self.depth == 2 => {
                    self.store(&bytes[start..index])?;
                    start = index + 1;
                    self.finish_object(on_object);
                }
                _ => {}
            }
        }
        self.store(&bytes[start..])
    }

    /// The metadata, after the last byte.
    pub fn end(self) -> Result<ListMetadata, ApiError> {
        let keep = const {
            &Keep::Fields(&[
                ("metadata", &Keep::All),
                ("items", &Keep::Items(&Keep::Fields(&[]))),
            ])
        };
        let list = decode(&self.rest, keep).map_err(invalid)?.value;
        // The objects of `items` are not in it.
        let is_valid = match &list["items"] {
            Value::Array(items) => items.is_empty(),
            items => items.is_null(),
        };
        if !is_valid {
            return Err(invalid("`items` is not a list"));
        }
        let text = |field: &str| list["metadata"][field].as_str().unwrap_or_default();
        let version = text("resourceVersion");
        if version.is_empty() {
            return Err(invalid("a list without `resourceVersion`"));
        }
        Ok(ListMetadata {
            version: version.to_owned(),
            next: text("continue").to_owned(),
        })
    }

    /// Whether `rest` ends with the key `items`, a colon, and a bracket that opens its value.
    fn is_after_items_key(&self) -> bool {
        let end = self.rest.get(self.last_string..);
        let value = end.and_then(|end| end.strip_prefix(br#""items""#));
        value.is_some_and(|value| {
            value
                .iter()
                .filter(|byte| !byte.is_ascii_whitespace())
                .eq(b":[")
        })
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        if !self.in_items {
            self.rest.extend_from_slice(bytes);
            return if self.rest.len() > MAX_REST_BYTES {
                Err(ApiError::TooLarge(MAX_REST_BYTES as u64))
            } else {
                Ok(())
            };
        }
        if !self.is_too_large {
            self.object.extend_from_slice(bytes);
            self.is_too_large = self.object.len() as u64 > MAX_OBJECT_BYTES;
            if self.is_too_large {
                self.object.truncate(MAX_START_BYTES);
            }
        }
        Ok(())
    }

    fn finish_object<O: Object>(&mut self, on_object: &mut impl FnMut(Result<O, String>)) {
        let is_too_large = std::mem::take(&mut self.is_too_large);
        let bytes = self.object.trim_ascii();
        if is_too_large {
            let why = format!("more than {MAX_OBJECT_BYTES} bytes");
            on_object(Err(unreadable(bytes, &why)));
        } else if !bytes.is_empty() {
            on_object(match decode(bytes, O::KEEP) {
                Ok(decoded) => read(&decoded.value, decoded.is_cut),
                Err(error) => Err(unreadable(bytes, &format!("invalid JSON: {error}"))),
            });
        }
        self.object.clear();
        self.object.shrink_to(KEPT_BUFFER_BYTES);
    }
}

impl StringState {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escaped,
            _ => Self::Inside,
        }
    }
}

/// What is wrong with which object. Its name cannot be decoded, but its start shows it.
fn unreadable(object: &[u8], why: &str) -> String {
    let start = &object[..object.len().min(MAX_START_BYTES)];
    let start = String::from_utf8_lossy(start);
    format!(
        "{why}; it starts with {:?}",
        truncated(&start, MAX_START_BYTES)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Name(String);

    impl Object for Name {
        const KEEP: &'static Keep =
            &Keep::Fields(&[("metadata", &Keep::Fields(&[("name", &Keep::All)]))]);

        fn from_object(object: &Value) -> Result<Self, &'static str> {
            let name = object["metadata"]["name"].as_str();
            Ok(Self(name.ok_or("without a name")?.to_owned()))
        }
    }

    /// The names, or what is wrong, and the metadata, for a body that arrives in chunks of that size.
    fn read_in(
        body: &str,
        chunk: usize,
    ) -> (Vec<Result<String, String>>, Result<ListMetadata, String>) {
        let mut list = ListBody::default();
        let mut names = Vec::new();
        for bytes in body.as_bytes().chunks(chunk) {
            let mut on_object =
                |object: Result<Name, String>| names.push(object.map(|name| name.0));
            if let Err(error) = list.push(bytes, &mut on_object) {
                return (names, Err(error.to_string()));
            }
        }
        (names, list.end().map_err(|error| error.to_string()))
    }

    fn names(body: &str) -> Vec<Result<String, String>> {
        let (names, metadata) = read_in(body, body.len());
        metadata.unwrap();
        for chunk in [1, 2, 3, 7] {
            assert_eq!(
                read_in(body, chunk).0,
                names,
                "chunks of {chunk} bytes: {body}"
            );
        }
        names
    }

    #[test]
    fn objects_are_found_wherever_the_chunks_end() {
        let body = r#"{"kind": "List", "metadata": {"resourceVersion": "7", "continue": "c"}, "items" : [
            {"metadata": {"name": "a\"],}\\"}, "spec": [[1], {"items": [2]}]} , {"metadata":{"name":"b"}}]}"#;
        assert_eq!(names(body), [Ok("a\"],}\\".to_owned()), Ok("b".to_owned())]);
        let (_, metadata) = read_in(body, 5);
        let expected = ListMetadata {
            version: "7".to_owned(),
            next: "c".to_owned(),
        };
        assert_eq!(metadata, Ok(expected));
    }

    #[test]
    fn only_the_array_of_the_list_itself_has_the_objects() {
        let object = r#"{"metadata": {"name": "a"}}"#;
        let body = format!(
            r#"{{"x\"items": [1, {object}], "n": {{"items": [{object}]}}, "y": "items", "z": [{object}],
            "items": [{object}], "metadata": {{"resourceVersion": "7"}}}}"#
        );
        assert_eq!(names(&body), [Ok("a".to_owned())]);
    }

    #[test]
    fn an_object_that_cannot_be_read_hides_no_other() {
        let large = "x".repeat(13 << 20);
        for (object, why) in [
            ("INVALID".to_owned(), "invalid JSON: expected value"),
            (
                r#"{"metadata": {"name": WHAT}}"#.to_owned(),
                "invalid JSON: expected value",
            ),
            (
                r#"{"metadata": {"name": "n"}}"#.replacen('{', "[", 1),
                "invalid JSON: ",
            ),
            ("{}".to_owned(), "without a name"),
            ("7".to_owned(), "without a name"),
            (
                format!(r#"{{"metadata": {{"name": "n"}}, "x": "{large}"}}"#),
                "more than 12582912 bytes",
            ),
        ] {
            let body = format!(
                r#"{{"metadata": {{"resourceVersion": "7"}}, "items": [{{"metadata": {{"name": "a"}}}}, {object},
                {{"metadata": {{"name": "b"}}}}]}}"#
            );
            let (found, metadata) = read_in(&body, 4096);
            metadata.unwrap();
            let start = &object[..object.len().min(40)];
            assert_eq!(found.len(), 3, "{start}");
            let error = found[1].as_ref().unwrap_err();
            assert!(error.contains(why) && error.len() < 500, "{start}: {error}");
            assert!(found[0].is_ok() && found[2].is_ok(), "{start}");
        }
    }

    #[test]
    fn a_list_without_objects_is_empty() {
        for items in ["[]", "null", "[ \n]"] {
            let body = format!(r#"{{"items": {items}, "metadata": {{"resourceVersion": "7"}}}}"#);
            assert_eq!(names(&body), []);
        }
    }

    #[test]
    fn a_body_that_is_not_a_list_is_an_error() {
        for body in [
            "",
            "]",
            "{}",
            "[]",
            r#"{"items": []}"#,
            r#"{"items": [{}, "metadata": {"resourceVersion": "7"}}"#,
            r#"{"items": {}, "metadata": {"resourceVersion": "7"}}"#,
            r#"{"items": [], "items": [{}], "metadata": {"resourceVersion": "7"}}"#,
            r#"{"it\u0065ms": [{}], "metadata": {"resourceVersion": "7"}}"#,
            r#"{"items": [], "metadata": {"resourceVersion": "7"}} x"#,
            r#"{"items": [], "metadata": {"resourceVersion": "7"}"#,
        ] {
            assert!(read_in(body, 8).1.is_err(), "{body}");
        }
        let body = format!(r#"{{"x": "{}"#, "x".repeat(MAX_REST_BYTES));
        assert!(
            read_in(&body, 4096)
                .1
                .unwrap_err()
                .contains("more than 65536 bytes")
        );
    }
}
