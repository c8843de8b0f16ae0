//! Reads one field of the configuration at a time, so that every error names its field.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use mesh_cni_netfilter::Port;
use mesh_cni_netfilter::value::InvalidValue;
use serde_json::Value;

use super::{CONFIG_ANNOTATION, field};
use crate::setting::{InvalidSetting, SettingName};
use crate::value::{InvalidItem, invalid};

const EXPECTED_OBJECT: &str = "an object";
const EXPECTED_BOOLEAN: &str = "`true` or `false`";
const EXPECTED_LIST: &str = "a list, or a text with commas between its items";

/// The configuration in the annotation.
#[derive(Clone, Copy)]
pub(super) struct Document<'pod>(pub(super) &'pod Value);

/// An item of a list, with the text that contains it.
pub(super) struct Item<'text> {
    pub(super) setting: SettingName,
    pub(super) text: &'text str,
    pub(super) value: &'text str,
}

impl<'pod> Document<'pod> {
    /// The value of a field; an absent one and `null` are `None`.
    pub(super) fn find(self, path: &'static str) -> Result<Option<&'pod Value>, InvalidSetting> {
        let mut value = self.0;
        let mut end = 0;
        for key in path.split('.') {
            value = match value {
                Value::Object(fields) => match fields.get(key) {
                    Some(value) => value,
                    None => return Ok(None),
                },
                Value::Null => return Ok(None),
                other => {
                    let parent = path[..end].trim_end_matches('.');
                    return Err(wrong(field(parent), other, EXPECTED_OBJECT));
                }
            };
            end += key.len() + 1;
        }
        Ok(Some(value).filter(|value| !value.is_null()))
    }

    pub(super) fn boolean(self, path: &'static str) -> Result<Option<bool>, InvalidSetting> {
        let read = |value: &Value| {
            let boolean = value.as_bool();
            boolean.ok_or_else(|| wrong(field(path), value, EXPECTED_BOOLEAN))
        };
        self.find(path)?.map(read).transpose()
    }

    /// A whole number; Kuma accepts none in quotes.
    pub(super) fn number(
        self,
        path: &'static str,
        allowed: RangeInclusive<u16>,
        expected: &'static str,
    ) -> Result<Option<u16>, InvalidSetting> {
        let read = |value: &Value| {
            let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
            let number = number.filter(|number| allowed.contains(number));
            number.ok_or_else(|| wrong(field(path), value, expected))
        };
        self.find(path)?.map(read).transpose()
    }

    /// A port as a number.
    pub(super) fn port(self, path: &'static str) -> Result<Option<Port>, InvalidSetting> {
        const EXPECTED: &str = "a port: allowed are whole numbers from 1 to 65535, without quotes";
        let number = self.number(path, 1..=u16::MAX, EXPECTED)?;
        Ok(number.and_then(Port::new))
    }

    /// A boolean; an absent one is false.
    pub(super) fn flag(self, path: &'static str) -> Result<bool, InvalidSetting> {
        Ok(self.boolean(path)?.unwrap_or(false))
    }

    /// One word. An empty one is absent, as in Kuma; a number counts as a text.
    pub(super) fn word<T>(
        self,
        path: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, InvalidItem>,
    ) -> Result<Option<T>, InvalidSetting> {
        let text = match self.find(path)? {
            None => return Ok(None),
            Some(value @ (Value::String(_) | Value::Number(_))) => shown(value),
            Some(value) => return Err(wrong(field(path), value, expected)),
        };
        if text.is_empty() {
            return Ok(None);
        }
        let parsed = parse(&text);
        let parsed = parsed.map_err(|problem| InvalidSetting::new(field(path), &text, problem))?;
        Ok(Some(parsed))
    }

    /// Reads each item of a list: of texts, or of texts with commas between items. Blanks around items and
    /// empty items are ignored, as in Kuma.
    pub(super) fn items(
        self,
        path: &'static str,
        separator: Option<char>,
        mut read: impl FnMut(&Item<'_>) -> Result<(), InvalidSetting>,
    ) -> Result<(), InvalidSetting> {
        let mut read_text = |setting: SettingName, text: &str| {
            let items = text.split(|c| Some(c) == separator);
            for item in items.map(str::trim).filter(|item| !item.is_empty()) {
                let setting = setting.clone();
                read(&Item {
                    setting,
                    text,
                    value: item,
                })?;
            }
            Ok(())
        };
        match self.find(path)? {
            None => Ok(()),
            Some(Value::Array(values)) => {
                values.iter().enumerate().try_for_each(|(index, value)| {
                    let setting = SettingName::InAnnotation {
                        annotation: CONFIG_ANNOTATION,
                        path,
                        index: Some(index),
                    };
                    match value {
                        Value::String(_) | Value::Number(_) => read_text(setting, &shown(value)),
                        _ => Err(wrong(setting, value, EXPECTED_LIST)),
                    }
                })
            }
            Some(value @ (Value::String(_) | Value::Number(_))) => {
                read_text(field(path), &shown(value))
            }
            Some(value) => Err(wrong(field(path), value, EXPECTED_LIST)),
        }
    }

    /// A list of values with commas between them. Duplicates are removed.
    pub(super) fn list<T: Ord + Clone>(
        self,
        path: &'static str,
        parse: impl Fn(&str) -> Result<T, InvalidValue>,
    ) -> Result<Vec<T>, InvalidSetting> {
        let (mut values, mut known) = (Vec::new(), BTreeSet::new());
        self.items(path, Some(','), |item| {
            let value = parse(item.value).map_err(|error| item.invalid(error.expected))?;
            if known.insert(value.clone()) {
                values.push(value);
            }
            Ok(())
        })?;
        Ok(values)
    }
}

impl Item<'_> {
    pub(super) fn invalid(&self, expected: &'static str) -> InvalidSetting {
        self.error(invalid(self.text, self.value, expected))
    }

    pub(super) fn error(&self, problem: InvalidItem) -> InvalidSetting {
        InvalidSetting::new(self.setting.clone(), self.text, problem)
    }
}

/// The error for a field whose whole value is not valid.
pub(super) fn wrong(setting: SettingName, value: &Value, expected: &'static str) -> InvalidSetting {
    let value = shown(value);
    let problem = invalid(&value, &value, expected);
    InvalidSetting::new(setting, &value, problem)
}

/// A text without quotes, anything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
