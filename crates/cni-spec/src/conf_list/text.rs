//! Laying a document out with the indentation it had.

use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

/// The white space that one level of nesting gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Indent(String);

impl Indent {
    /// What the first indented line begins with; two blanks where no line is indented.
    pub(super) fn detect(text: &str) -> Self {
        let indented = text
            .lines()
            .skip(1)
            .find(|line| line.starts_with([' ', '\t']));
        let unit = indented.map(|line| {
            let content = line.trim_start_matches([' ', '\t']);
            &line[..line.len() - content.len()]
        });
        Self(
            unit.filter(|unit| unit.len() <= 8)
                .unwrap_or("  ")
                .to_owned(),
        )
    }

    pub(super) fn lay_out(&self, document: &Map<String, Value>) -> String {
        let mut text = Vec::new();
        let formatter = PrettyFormatter::with_indent(self.0.as_bytes());
        let mut serializer = Serializer::with_formatter(&mut text, formatter);
        serde::Serialize::serialize(document, &mut serializer)
            .expect("a JSON value is always written to memory");
        text.push(b'\n');
        String::from_utf8(text).expect("JSON is written as UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_indented_line_decides() {
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
