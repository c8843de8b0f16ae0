//! The chart's README describes every value, with its default.

use std::fs;

use serde_json::Value;

use crate::chart::folder;

#[test]
fn the_table_of_values_is_that_of_the_values_file() {
    let read = |name| fs::read_to_string(folder().join(name)).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let expected: Vec<String> = leaves("", &values)
        .into_iter()
        .map(|name| {
            let value = name.split('.').fold(&values, |value, key| &value[key]);
            format!("| `{name}` | `{value}` |")
        })
        .collect();
    let readme = read("README.md");
    let rows = readme.lines().filter(|line| line.starts_with("| `"));
    let described: Vec<String> = rows
        .map(|row| row.splitn(4, '|').take(3).collect::<Vec<_>>().join("|") + "|")
        .collect();
    assert_eq!(described, expected);
}

/// The paths of all values that are not objects with entries.
pub(crate) fn leaves(path: &str, value: &Value) -> Vec<String> {
    match value.as_object() {
        Some(object) if !object.is_empty() => {
            let below = object.iter().map(|(key, value)| {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&format!("{path}{dot}{key}"), value)
            });
            below.flatten().collect()
        }
        _ => vec![path.to_owned()],
    }
}
