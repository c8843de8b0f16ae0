//! Escapes and limits text from outside before it is printed.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// The categories Cf (format), Zl and Zp (line and paragraph separator) of Unicode 17, from
/// `DerivedGeneralCategory.txt`, in ascending order.
const FORMAT: [RangeInclusive<char>; 22] = [
    '\u{ad}'..='\u{ad}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{2029}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2064}',
    '\u{2066}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0001}'..='\u{e0001}',
    '\u{e0020}'..='\u{e007f}',
];

/// Whether a character is printed as it is: it is neither a control nor a format character, nor a line
/// or paragraph separator.
pub fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    !character.is_control() && !FORMAT.iter().any(|range| range.contains(&character))
}

/// The text on one line: every other character than [printable](is_printable) ones as an escape of
/// Rust.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, is_printable, |to, character| {
        to.extend(character.escape_default());
    })
}

/// The text up to that length in bytes, without splitting a character.
pub fn truncated(text: &str, max: usize) -> &str {
    let mut ends = (0..=max.min(text.len())).rev();
    &text[..ends.find(|end| text.is_char_boundary(*end)).unwrap_or(0)]
}

/// As [`escaped`], but line breaks and tabs stay.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    let stays = |character| matches!(character, '\n' | '\t') || is_printable(character);
    escape(text, stays, |to, character| {
        to.extend(character.escape_default());
    })
}

/// JSON text with escapes of JSON, so that its values stay the same.
///
/// Outside of its strings JSON has no other special characters than white space, which stays.
pub fn escaped_json(text: &str) -> Cow<'_, str> {
    let stays = |character| matches!(character, '\n' | '\r' | '\t') || is_printable(character);
    escape(text, stays, |to, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _written = write!(to, "\\u{unit:04x}");
        }
    })
}

fn escape(
    text: &str,
    stays: impl Fn(char) -> bool,
    append: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    let Some(first) = text.find(|character| !stays(character)) else {
        return Cow::Borrowed(text);
    };
    let (plain, rest) = text.split_at(first);
    let mut to = plain.to_owned();
    for character in rest.chars() {
        if stays(character) {
            to.push(character);
        } else {
            append(&mut to, character);
        }
    }
    Cow::Owned(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_format_characters_are_escaped() {
        for (character, escape) in [
            ('\0', "\\u{0}"),
            ('\n', "\\n"),
            ('\u{1b}', "\\u{1b}"),
            ('\u{7f}', "\\u{7f}"),
            ('\u{85}', "\\u{85}"),
            ('\u{9b}', "\\u{9b}"),
            ('\u{ad}', "\\u{ad}"),
            ('\u{61c}', "\\u{61c}"),
            ('\u{200b}', "\\u{200b}"),
            ('\u{200d}', "\\u{200d}"),
            ('\u{2028}', "\\u{2028}"),
            ('\u{2029}', "\\u{2029}"),
            ('\u{202e}', "\\u{202e}"),
            ('\u{2066}', "\\u{2066}"),
            ('\u{feff}', "\\u{feff}"),
            ('\u{e0001}', "\\u{e0001}"),
            ('\u{e0041}', "\\u{e0041}"),
        ] {
            let text = format!("a{character}b");
            assert_eq!(escaped(&text), format!("a{escape}b"));
        }
    }

    #[test]
    fn other_text_is_borrowed() {
        for text in [
            "",
            "plain `text`",
            "é 漢字 🙂 \u{301}",
            "\\u{202e}",
            "\u{a0}",
        ] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text));
        }
        assert!(matches!(escaped_lines("a\n\tb\n"), Cow::Borrowed(_)));
        assert!(matches!(escaped_json("{\r\n\t\"a\": 1}"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_escapes_have_pairs_of_surrogates() {
        let text = "\"\u{7f}\u{202e}\u{e0001}é\"";
        assert_eq!(
            escaped_json(text),
            "\"\\u007f\\u202e\\udb40\\udc01é\"",
            "two UTF-16 units for a character above U+FFFF"
        );
    }

    #[test]
    fn the_ranges_ascend_and_do_not_overlap() {
        for pair in FORMAT.windows(2) {
            assert!(pair[0].end() < pair[1].start(), "{pair:?}");
        }
        let count = |range: &RangeInclusive<char>| range.clone().count();
        // 170 of category Cf, and one each of Zl and Zp.
        assert_eq!(FORMAT.iter().map(count).sum::<usize>(), 172);
    }
}
