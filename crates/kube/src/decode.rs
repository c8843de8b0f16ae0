//! Decodes the used fields of an API object; all others are skipped without being built.
//!
//! Whoever creates an object chooses the size and the depth of most of its fields. A field that is
//! skipped costs no memory and no stack, whatever it contains.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The depth below [`Keep::All`] at which values are skipped. No field that is used is this deep.
const MAX_DEPTH: u8 = 8;

/// The most values of one document that are decoded. One takes up to half a KiB in memory, and a pod
/// with a sidecar has about 500.
const MAX_VALUES: usize = 40_000;

/// The key under which `serde_json` passes a number whose spelling it keeps.
const NUMBER: &str = "$serde_json::private::Number";

/// The parts of a value that are decoded.
#[derive(Debug)]
pub enum Keep {
    /// Everything.
    All,
    /// These fields of an object. Without any, an object shows only that it is there.
    Fields(&'static [(&'static str, &'static Keep)]),
    /// These parts of each item of an array.
    Items(&'static Keep),
}

/// A decoded document.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// Its used fields.
    pub value: Value,
    /// Whether it has more values than are decoded. Then the last ones are missing.
    pub is_cut: bool,
}

/// Decodes one JSON document, and nothing after it.
pub fn decode(json: &[u8], keep: &'static Keep) -> Result<Decoded, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let left = Cell::new(MAX_VALUES);
    let seed = Seed {
        keep,
        depth: MAX_DEPTH,
        left: &left,
    };
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    let is_cut = left.get() == 0;
    Ok(Decoded { value, is_cut })
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    keep: &'static Keep,
    /// How much deeper [`Keep::All`] goes.
    depth: u8,
    /// How many more values are decoded.
    left: &'a Cell<usize>,
}

impl Seed<'_> {
    /// The seed of a field; `None` if the field is skipped.
    fn field(self, name: &str) -> Option<Self> {
        self.count()?;
        match self.keep {
            Keep::All => self.deeper(),
            Keep::Fields(fields) => fields
                .iter()
                .find(|(field, _)| *field == name)
                .map(|(_, keep)| Self { keep, ..self }),
            Keep::Items(_) => None,
        }
    }

    /// The same; the field of a number is text, and is never skipped.
    fn field_or_number(self, name: &str) -> Option<Self> {
        let number = || Self {
            keep: &Keep::All,
            depth: 0,
            ..self
        };
        self.field(name).or_else(|| (name == NUMBER).then(number))
    }

    /// The seed of an item; `None` if the item is skipped.
    fn item(self) -> Option<Self> {
        self.count()?;
        match self.keep {
            Keep::All => self.deeper(),
            Keep::Fields(_) => None,
            Keep::Items(keep) => Some(Self { keep, ..self }),
        }
    }

    /// Counts a value that may be decoded; `None` if there were too many.
    fn count(self) -> Option<()> {
        let left = self.left.get().checked_sub(1)?;
        self.left.set(left);
        Some(())
    }

    fn deeper(self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        Some(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while let Some(seed) = self.item() {
            match items.next_element_seed(seed)? {
                Some(item) => kept.push(item),
                None => return Ok(Value::Array(kept)),
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let Some(seed) = self.field_or_number(&name) else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = fields.next_value_seed(seed)?;
            match value.as_str().map(str::parse::<Number>) {
                Some(Ok(number)) if name == NUMBER => {
                    while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    return Ok(Value::Number(number));
                }
                _ => drop(kept.insert(name, value)),
            }
        }
        Ok(Value::Object(kept))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEEP: Keep = Keep::Fields(&[
        ("all", &Keep::All),
        (
            "items",
            &Keep::Items(&Keep::Fields(&[("name", &Keep::All)])),
        ),
        ("present", &Keep::Fields(&[])),
    ]);

    fn kept(json: &str) -> Value {
        decode(json.as_bytes(), &KEEP).unwrap().value
    }

    #[test]
    fn only_the_used_fields_are_decoded() {
        let json = r#"{"all": {"a": [1, -2.50, "x", null, true]}, "other": {"a": 1},
            "items": [{"name": "n", "other": [1]}, "text", 7], "present": {"a": 1}}"#;
        let expected = r#"{"all": {"a": [1, -2.50, "x", null, true]},
            "items": [{"name": "n"}, "text", 7], "present": {}}"#;
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(kept(json), expected);
    }

    #[test]
    fn the_type_of_a_value_is_kept_if_it_is_not_the_expected_one() {
        assert_eq!(kept(r#"{"items": {"a": 1}}"#), json!({"items": {}}));
        assert_eq!(kept(r#"{"present": [1]}"#), json!({"present": []}));
        assert_eq!(kept(r#"{"present": 1}"#), json!({"present": 1}));
    }

    #[test]
    fn depth_harms_neither_a_skipped_field_nor_a_used_one() {
        for field in ["other", "present", "items", "all"] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let (open, close) = (open.repeat(100_000), close.repeat(100_000));
                let json = format!(r#"{{"{field}": {open}1{close}, "all2": 1}}"#);
                let value = kept(&json);
                assert!(value.to_string().len() < 200, "{field}: {value}");
            }
        }
    }

    #[test]
    fn a_field_with_the_name_that_serde_json_uses_for_numbers_does_no_harm() {
        for value in [r#""x""#, "{}", "[[1]]", "null"] {
            let json = format!(r#"{{"all": {{"$serde_json::private::Number": {value}}}, "x": 1}}"#);
            assert!(decode(json.as_bytes(), &KEEP).is_ok(), "{json}");
        }
    }

    #[test]
    fn many_values_are_cut_and_reported() {
        let decoded = |count: usize| {
            let json = format!(r#"{{"all": [{}1], "x": 1}}"#, "\"\",".repeat(count));
            decode(json.as_bytes(), &KEEP).unwrap()
        };
        assert!(!decoded(MAX_VALUES / 2).is_cut);
        let cut = decoded(MAX_VALUES * 3);
        assert!(cut.is_cut && cut.value["all"].as_array().unwrap().len() < MAX_VALUES);
    }

    #[test]
    fn text_after_the_document_is_an_error() {
        assert!(decode(b"{} x", &KEEP).is_err());
        assert!(decode(b"{", &KEEP).is_err());
    }
}
