//! Where results and messages are written, and their colours.

use std::io::{self, Write};
use std::{fmt, mem};

use anstyle::{AnsiColor, Style};
use mesh_cni_plan::{Decoded, MeshConf};
use mesh_cni_text::{escaped_json, escaped_lines};
use serde::Serialize;

/// Success.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Failure.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// Details.
pub(crate) const DIM: Style = Style::new().dimmed();

/// The two streams, which remove colours where the reader does not want them.
pub(crate) struct Console<'streams> {
    out: &'streams mut dyn Write,
    err: &'streams mut dyn Write,
    /// Messages that are printed later.
    later: Vec<u8>,
}

/// A value printed in a style.
pub(crate) struct Styled<T>(pub(crate) Style, pub(crate) T);

impl<'streams> Console<'streams> {
    pub(crate) fn new(out: &'streams mut dyn Write, err: &'streams mut dyn Write) -> Self {
        Self {
            out,
            err,
            later: Vec::new(),
        }
    }

    /// Does work whose messages are less important than those that follow: they are kept for
    /// [`print_later`](Self::print_later).
    pub(crate) fn with_messages_later<T>(&mut self, work: impl FnOnce(&mut Console<'_>) -> T) -> T {
        let mut later = mem::take(&mut self.later);
        let result = work(&mut Console::new(self.out, &mut later));
        self.later = later;
        result
    }

    /// Prints the messages that were kept.
    pub(crate) fn print_later(&mut self) {
        let _written = self.err.write_all(&mem::take(&mut self.later));
    }

    /// Writes a part of the result.
    pub(crate) fn result(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(printable(text).as_bytes())?;
        self.out.flush()
    }

    /// Writes a line of the result.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        self.result(&format!("{line}\n"))
    }

    /// Writes a warning, which does not change the result.
    pub(crate) fn warn(&mut self, line: impl fmt::Display) {
        self.message("warning", WARN, line);
    }

    /// The configuration, with a warning for each field that is ignored.
    pub(crate) fn conf(&mut self, decoded: Decoded, place: &str) -> MeshConf {
        for field in decoded.unknown {
            self.warn(format_args!("{place}: unknown field `{field}` is ignored"));
        }
        decoded.conf
    }

    /// Writes a note about the result.
    pub(crate) fn note(&mut self, line: impl fmt::Display) {
        self.message("note", DIM, line);
    }

    /// Writes further lines of the last message.
    pub(crate) fn detail(&mut self, lines: impl fmt::Display) {
        let _written = writeln!(self.err, "{}", printable(&lines.to_string()));
    }

    /// Writes a message to stderr. A failed write is ignored: the result still counts.
    pub(crate) fn message(&mut self, kind: &str, style: Style, line: impl fmt::Display) {
        let line = line.to_string();
        let line = printable(&line);
        let _written = writeln!(self.err, "{style}{kind}:{style:#} {line}");
    }
}

/// A document as indented JSON with a line break at its end.
pub(crate) fn json(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document).expect("these types have a JSON form");
    escaped_json(&text).into_owned() + "\n"
}

/// The text with control and format characters escaped, except line breaks, tabs and colours.
fn printable(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut printable = escaped_lines(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let (start, rest) = part.split_at(colour_length(part));
        printable.push_str(if start.is_empty() {
            "\\u{1b}"
        } else {
            "\u{1b}"
        });
        printable.push_str(start);
        printable.push_str(&escaped_lines(rest));
    }
    printable
}

/// The length of the colour sequence after an escape character: `[`, numbers and `m`. 0 if it is
/// another sequence.
fn colour_length(text: &str) -> usize {
    let is_number = |byte: u8| byte.is_ascii_digit() || byte == b';';
    match text.bytes().skip(1).position(|byte| !is_number(byte)) {
        Some(numbers) if text.starts_with('[') && text.as_bytes()[numbers + 1] == b'm' => {
            numbers + 2
        }
        _ => 0,
    }
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, value) = self;
        write!(f, "{style}{value}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_and_other_control_and_format_characters_are_escaped() {
        let styled = format!("{}\n\tplain\n", Styled(BAD, "a\u{202e}b"));
        assert_eq!(printable(&styled), styled.replace('\u{202e}', "\\u{202e}"));
        assert_eq!(
            printable("\u{1b}[2J\u{1b}]0;x\u{7}"),
            "\\u{1b}[2J\\u{1b}]0;x\\u{7}"
        );
        assert_eq!(printable("\u{1b}["), "\\u{1b}[");
        assert_eq!(printable("\u{1b}"), "\\u{1b}");
    }

    #[test]
    fn json_keeps_its_values() {
        let document = serde_json::json!({"a": "\u{feff}\u{e0001}\u{7f}\n"});
        let text = json(&document);
        assert!(text.is_ascii(), "{text}");
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("the text is JSON");
        assert_eq!(parsed, document);
    }
}
