//! Formats a value that is added to a document like its surroundings.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use super::scan::is_space;

/// Formats a value that follows this white space: on several lines if the white space contains a line
/// end, else on one line.
pub(super) fn format(value: &Value, space: &[u8], document: &[u8]) -> Vec<u8> {
    let Some(line_end) = space.iter().rposition(|byte| *byte == b'\n') else {
        return serialized(value, OneLine);
    };
    let margin = &space[line_end + 1..];
    let line_end: &[u8] = if space[..line_end].ends_with(b"\r") {
        b"\r\n"
    } else {
        b"\n"
    };
    let text = serialized(value, PrettyFormatter::with_indent(indent(document)));
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .collect::<Vec<_>>()
        .join(&[line_end, margin].concat()[..])
}

/// The white space before this position.
pub(super) fn space_before(text: &[u8], at: usize) -> &[u8] {
    let before = &text[..at];
    let start = before.iter().rposition(|byte| !is_space(*byte));
    &before[start.map_or(0, |last| last + 1)..]
}

/// The indentation of the first indented line; two spaces if there is none.
fn indent(document: &[u8]) -> &[u8] {
    document
        .split(|byte| *byte == b'\n')
        .skip(1)
        .map(|line| {
            let end = line.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
            &line[..end.unwrap_or(0)]
        })
        .find(|indent| !indent.is_empty())
        .filter(|indent| indent.len() <= 8)
        .unwrap_or(b"  ")
}

fn serialized(value: &Value, formatter: impl Formatter) -> Vec<u8> {
    let mut text = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut text, formatter))
        .expect("a JSON value can be written to memory");
    text
}

/// One line, with a space after each comma and colon.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: std::io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: std::io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W: std::io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_indented_line_determines_the_indentation() {
        for (text, expected) in [
            ("{}", "  "),
            ("{\n\"a\": 1\n}", "  "),
            ("{\n\t\"a\": 1\n}", "\t"),
            ("{\r\n\r\n\t\"a\": 1\r\n}", "\t"),
            ("{\n    \"a\": {\n        \"b\": 1}}", "    "),
            ("  {\n   \"a\": 1}", "   "),
            ("{\n                    \"a\": 1}", "  "),
        ] {
            assert_eq!(indent(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_value_is_formatted_like_its_surroundings() {
        let value = json!({"a": [1, {}], "b": "x"});
        let text = |space: &str| {
            let text = format(&value, space.as_bytes(), b"{\n\t\"a\": 1}");
            String::from_utf8(text).unwrap()
        };
        assert_eq!(text(" "), r#"{"a": [1, {}], "b": "x"}"#);
        let lines = "{\n..\t\"a\": [\n..\t\t1,\n..\t\t{}\n..\t],\n..\t\"b\": \"x\"\n..}";
        assert_eq!(text("\n  "), lines.replace("..", "  "));
        let crlf = lines.replace("..", " ").replace('\n', "\r\n");
        assert_eq!(text("\r\n "), crlf);
    }
}
