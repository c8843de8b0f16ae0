//! Compares a document with one of the checked-in schemas. It knows what `schemars` generates, and accepts no key that
//! the schema does not name, although readers must.
#![expect(clippy::unwrap_used, reason = "a test fails on unexpected errors")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Fails unless the document has the form of `docs/schemas/NAME.json`.
pub(crate) fn assert_valid(name: &str, document: &Value) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schemas/{name}.json"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let result = valid(&schema, &schema, document);
    assert_eq!(result, Ok(()), "{name}: {document:#}");
}

/// Whether the value has the form of the schema and every key is known.
fn valid(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let known = keys(root, schema, value)?;
    let open = schema.get("additionalProperties").is_some() || schema == &Value::Bool(true);
    let mut unknown = value
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys());
    match unknown.find(|key| !open && !known.contains(*key)) {
        Some(key) => Err(format!("`{key}` is not in the schema")),
        None => Ok(()),
    }
}

/// The keys of the value that the schema names, if the value has its form.
fn keys(root: &Value, schema: &Value, value: &Value) -> Result<BTreeSet<String>, String> {
    let mut known = BTreeSet::new();
    let Some(schema) = schema.as_object() else {
        return Ok(known);
    };
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                known.extend(keys(root, root.pointer(pointer).unwrap(), value)?);
            }
            "type" if !has_type(wanted, value) => return Err(format!("{value} is not {wanted}")),
            "const" if wanted != value => return Err(format!("{value} is not {wanted}")),
            "enum" if !wanted.as_array().unwrap().contains(value) => {
                return Err(format!("{value} is not one of {wanted}"));
            }
            "anyOf" | "oneOf" => {
                let choices = wanted.as_array().unwrap();
                let results: Vec<_> = choices
                    .iter()
                    .map(|choice| keys(root, choice, value))
                    .collect();
                let fitting = results.iter().find_map(|result| result.as_ref().ok());
                known.extend(
                    fitting
                        .cloned()
                        .ok_or_else(|| format!("no choice fits: {results:?}"))?,
                );
            }
            "required" => {
                let mut names = wanted.as_array().unwrap().iter().filter_map(Value::as_str);
                if let Some(missing) = names.find(|name| value.get(name).is_none()) {
                    return Err(format!("`{missing}` is missing"));
                }
            }
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    known.insert(name.clone());
                    if let Some(value) = value.get(name) {
                        valid(root, schema, value)
                            .map_err(|problem| format!("{name}: {problem}"))?;
                    }
                }
            }
            "items" | "additionalProperties" if wanted.is_object() => {
                let items = value.as_array().into_iter().flatten();
                let fields = value
                    .as_object()
                    .into_iter()
                    .flat_map(|fields| fields.values());
                let of_items = keyword == "items";
                for value in items
                    .filter(|_| of_items)
                    .chain(fields.filter(|_| !of_items))
                {
                    valid(root, wanted, value)?;
                }
            }
            _ => {}
        }
    }
    Ok(known)
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Array(several) => several.iter().any(|one| has_type(one, value)),
        one => match one.as_str().unwrap() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => unreachable!("schemars writes no type {other}"),
        },
    }
}
