//! Formats a document with its original indentation.

use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

/// The whitespace for one level of nesting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Indent(String);

impl Indent {
    /// The indentation of the first indented line; two spaces if there is none.
    pub(super) fn detect(text: &str) -> Self {
        let whitespace = [' ', '\t'];
        let unit = text
            .lines()
            .skip(1)
            .find(|line| line.starts_with(whitespace))
            .map(|line| &line[..line.len() - line.trim_start_matches(whitespace).len()])
            .filter(|unit| unit.len() <= 8);
        Self(unit.unwrap_or("  ").to_owned())
    }

    pub(super) fn format(&self, document: &Map<String, Value>) -> String {
        let mut text = Vec::new();
        let formatter = PrettyFormatter::with_indent(self.0.as_bytes());
        let mut serializer = Serializer::with_formatter(&mut text, formatter);
        serde::Serialize::serialize(document, &mut serializer)
            .expect("a JSON value can be written to memory");
        text.push(b'\n');
        String::from_utf8(text).expect("JSON is UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_indented_line_determines_the_indentation() {
        for (text, unit) in [
            ("{}", "  "),
            ("{\n\"a\": 1\n}", "  "),
            ("{\n\t\"a\": 1\n}", "\t"),
            ("{\n    \"a\": {\n        \"b\": 1}}", "    "),
            ("  {\n   \"a\": 1}", "   "),
            ("{\n                    \"a\": 1}", "  "),
        ] {
            assert_eq!(Indent::detect(text), Indent(unit.to_owned()), "{text}");
        }
    }
}
