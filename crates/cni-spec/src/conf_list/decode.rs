//! Decodes JSON as libcni does, which is written in Go.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{ConfListError, scan};

/// The most levels of nested values that are decoded; `serde_json` bounds its recursion with it.
pub(super) const MAX_DEPTH: usize = 127;

/// The escape of U+FFFD, which replaces what is not a character.
const REPLACEMENT: &str = "\\ufffd";

/// Length of an escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// Decodes a configuration.
pub(super) fn document(text: &[u8]) -> Result<Value, ConfListError> {
    decode(text).map_err(|error| {
        if is_deep(text) {
            ConfListError::TooDeep
        } else {
            ConfListError::Json(error)
        }
    })
}

/// Decodes a document. In strings, bytes that are not UTF-8 and surrogates without their other half
/// become U+FFFD, as in Go.
pub(super) fn decode(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&paired(&String::from_utf8_lossy(text)))
}

/// The most levels of nested values that Go decodes.
const MAX_DEPTH_IN_GO: usize = 10_000;

/// Whether libcni decodes the document, although its values are nested too deeply for [`decode`].
fn is_deep(text: &[u8]) -> bool {
    let depth = scan::depth(text);
    // Ignoring values needs no recursion.
    depth > MAX_DEPTH
        && depth <= MAX_DEPTH_IN_GO
        && serde_json::from_str::<IgnoredAny>(&paired(&String::from_utf8_lossy(text))).is_ok()
}

fn paired(text: &str) -> Cow<'_, str> {
    if !text.contains("\\ud") && !text.contains("\\uD") {
        return Cow::Borrowed(text);
    }
    let mut paired = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        paired.push_str(before);
        let next = escape.get(ESCAPE..).and_then(surrogate);
        let (kept, length) = match (surrogate(escape), next) {
            (Some(Half::High), Some(Half::Low)) => (None, 2 * ESCAPE),
            (Some(_), _) => (Some(REPLACEMENT), ESCAPE),
            (None, _) => (
                None,
                1 + escape[1..].chars().next().map_or(0, char::len_utf8),
            ),
        };
        let (escape, after) = escape.split_at(length);
        paired.push_str(kept.unwrap_or(escape));
        rest = after;
    }
    paired.push_str(rest);
    Cow::Owned(paired)
}

enum Half {
    High,
    Low,
}

/// Which half of a pair the escape at the start of the text is; `None` for other escapes.
fn surrogate(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xD800..=0xDBFF => Some(Half::High),
        0xDC00..=0xDFFF => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_character_is_replaced_as_in_go() {
        for (text, expected) in [
            (&b"\"caf\xe9\""[..], "caf\u{fffd}"),
            (b"\"\\ud83d\\ude00\"", "\u{1f600}"),
            (b"\"\\udce9.\"", "\u{fffd}."),
            (b"\"\\uD83D\\u0041\"", "\u{fffd}A"),
            (b"\"\\ud83d\\ud83d\\ude00\"", "\u{fffd}\u{1f600}"),
            (b"\"\\\\ud800\"", "\\ud800"),
        ] {
            assert_eq!(decode(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn deep_values_are_those_that_go_decodes_and_we_do_not() {
        let nested = |open: &str, inner: &str, close: &str, depth: usize| {
            open.repeat(depth) + inner + &close.repeat(depth)
        };
        for (text, deep) in [
            (nested("[", "1", "]", 127), false),
            (nested("[", "1", "]", 128), true),
            (nested("{\"a\":", "[]", "}", 127), true),
            (nested("[", "\"[[\"", "]", 10_000), true),
            (nested("[", "1", "]", 10_001), false),
            (nested("[", "1", "]", 500) + "]", false),
            (nested("[", "1,", "]", 500), false),
            (format!("[\"{}\"]", "[".repeat(500)), false),
        ] {
            assert_eq!(is_deep(text.as_bytes()), deep, "{}", &text[..20]);
            assert!(!deep || decode(text.as_bytes()).is_err());
        }
    }

    #[test]
    fn bytes_outside_of_strings_are_errors() {
        for text in [&b"\xe9{}"[..], b"{}\xe9", b"\"\\\xe9\"", b"\"\\ud8", b"\""] {
            decode(text).unwrap_err();
        }
    }
}
