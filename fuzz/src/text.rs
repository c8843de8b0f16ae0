//! Escaping: text from outside contains no special characters afterwards.

use std::borrow::Cow;

use mesh_cni_text::{escaped, escaped_json, escaped_lines, is_printable};
use serde_json::Value;

use crate::property::assert_one_line;

/// The longest escape is `\u{10ffff}`, of a character with at least one byte.
const MOST_GROWTH: usize = 10;

pub(crate) fn run(input: &[u8]) {
    let text = &String::from_utf8_lossy(input);
    let line = escaped(text);
    assert_one_line(&line);
    for escaped in [&line, &escaped_lines(text), &escaped_json(text)] {
        assert!(escaped.len() <= MOST_GROWTH * text.len());
        let is_same = **escaped == **text;
        assert_eq!(matches!(escaped, Cow::Borrowed(_)), is_same);
    }
    for line in escaped_lines(text).split(['\n', '\t']) {
        assert_one_line(line);
    }
    let json = Value::from(&**text).to_string();
    let escaped = escaped_json(&json);
    assert!(escaped.chars().all(is_printable), "{escaped:?}");
    let value: Value = serde_json::from_str(&escaped).expect("escaped JSON is JSON");
    assert_eq!(value, **text);
}
