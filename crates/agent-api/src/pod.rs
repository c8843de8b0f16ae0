//! The answer to a request for one pod, with its protocol version.

use mesh_cni_selector::PodFacts;
use serde::de::value::Error as FieldsError;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use thiserror::Error;

/// The version of the answers that this crate writes, and the newest that it knows completely.
pub const PROTOCOL_VERSION: u32 = 1;

/// The fields of an answer beside those of [`PodFacts`].
const OWN_FIELDS: [&str; 2] = ["protocol_version", "required"];

/// The facts about one pod, as `GET /v1/pods/{namespace}/{name}` returns them.
///
/// In JSON the facts are at the top level, beside `protocol_version` and `required`:
///
/// ```json
/// {"protocol_version": 1, "namespace": "shop", "name": "cart", "containers": [{"name": "cart"}]}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PodAnswer {
    /// The protocol version of the writer.
    pub protocol_version: u32,
    /// Names of the top-level fields that a reader must know to decide correctly. A reader ignores
    /// any other unknown field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// The facts.
    #[serde(flatten)]
    pub facts: PodFacts,
}

/// An answer that must not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PodAnswerError {
    /// It is not the JSON of an answer.
    #[error("cannot parse the answer")]
    Json(#[from] serde_json::Error),
    /// It has fields that this reader must know and does not.
    #[error(
        "the answer has protocol version {version} and requires support for `{}`, which this \
         program does not have",
        fields.join("`, `")
    )]
    UnknownRequired {
        /// The writer's protocol version.
        version: u32,
        /// The required fields that are unknown.
        fields: Vec<String>,
    },
}

/// What is read first: the facts of a version that is not understood may not parse.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default = "first_version")]
    protocol_version: u32,
    #[serde(default)]
    required: Vec<String>,
}

impl PodAnswer {
    /// An answer of this version.
    pub fn new(facts: PodFacts) -> Self {
        Self {
            protocol_version: PROTOCOL_VERSION,
            required: Vec::new(),
            facts,
        }
    }

    /// Reads an answer. Without `protocol_version` it has version 1.
    pub fn from_json(json: &[u8]) -> Result<Self, PodAnswerError> {
        let Envelope {
            protocol_version,
            required,
        } = serde_json::from_slice(json)?;
        let fields: Vec<_> = required.iter().filter(|name| !is_known(name)).collect();
        if !fields.is_empty() {
            return Err(PodAnswerError::UnknownRequired {
                version: protocol_version,
                fields: fields.into_iter().cloned().collect(),
            });
        }
        Ok(Self {
            protocol_version,
            required,
            facts: serde_json::from_slice(json)?,
        })
    }
}

fn first_version() -> u32 {
    1
}

fn is_known(field: &str) -> bool {
    let mut facts: &[&str] = &[];
    // The error is expected: the "deserializer" only records the names.
    let _error = PodFacts::deserialize(FieldNames(&mut facts));
    OWN_FIELDS.contains(&field) || facts.contains(&field)
}

/// Records the field names that a struct asks its deserializer for, so that no list of the fields of
/// [`PodFacts`] must be kept here.
struct FieldNames<'names>(&'names mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = FieldsError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, FieldsError> {
        Err(FieldsError::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<PodAnswer, PodAnswerError> {
        PodAnswer::from_json(json.as_bytes())
    }

    #[test]
    fn an_answer_without_a_version_has_version_1() {
        let answer = read(r#"{"namespace": "shop", "name": "cart", "later": [1]}"#).unwrap();
        assert_eq!(answer.protocol_version, 1);
        assert_eq!(answer.facts.name, "cart");
    }

    #[test]
    fn a_newer_version_is_read_if_every_required_field_is_known() {
        let json = r#"{"protocol_version": 2, "required": ["labels", "uid", "required"],
            "namespace": "shop", "name": "cart", "later": {"a": 1}}"#;
        assert_eq!(read(json).unwrap().protocol_version, 2);
    }

    #[test]
    fn an_unknown_required_field_is_refused_before_the_facts_are_read() {
        let json = r#"{"protocol_version": 2, "required": ["labels", "mesh", "network"],
            "namespace": 7, "mesh": "ambient"}"#;
        assert_eq!(
            read(json).unwrap_err().to_string(),
            "the answer has protocol version 2 and requires support for `mesh`, `network`, which \
             this program does not have"
        );
    }

    #[test]
    fn every_field_that_is_written_is_known_and_read() {
        let facts = PodFacts::from_manifest(
            "kind: Pod\nmetadata: {name: cart, namespace: shop, uid: u-1, labels: {a: b}}\n\
             spec: {securityContext: {runAsUser: 1, runAsGroup: 2}, containers: [{name: cart}]}",
        );
        let mut facts = facts.unwrap();
        facts.namespace_labels = Some([("a".to_owned(), "b".to_owned())].into());
        let answer = PodAnswer::new(facts);
        let json = serde_json::to_value(&answer).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().collect();
        assert!(keys.iter().all(|key| is_known(key)), "{keys:?}");
        assert!(keys.contains(&&"run_as_user".to_owned()), "{keys:?}");
        assert_eq!(read(&json.to_string()).unwrap(), answer);
        assert!(!is_known("mesh"));
    }

    #[test]
    fn nonsense_is_a_json_error() {
        for json in ["", "{}", "[]", r#"{"protocol_version": "1"}"#] {
            assert!(matches!(read(json), Err(PodAnswerError::Json(_))), "{json}");
        }
    }
}
