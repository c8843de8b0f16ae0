//! Where results and messages are written, and their colours.

use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

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
}

/// A value printed in a style.
pub(crate) struct Styled<T>(pub(crate) Style, pub(crate) T);

impl<'streams> Console<'streams> {
    pub(crate) fn new(out: &'streams mut dyn Write, err: &'streams mut dyn Write) -> Self {
        Self { out, err }
    }

    /// Writes a part of the result unchanged.
    pub(crate) fn result(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a line of the result.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Writes a warning, which does not change the result.
    pub(crate) fn warn(&mut self, line: impl fmt::Display) {
        self.message("warning", WARN, line);
    }

    /// Writes a note about the result.
    pub(crate) fn note(&mut self, line: impl fmt::Display) {
        self.message("note", DIM, line);
    }

    /// Writes further lines of the last message.
    pub(crate) fn detail(&mut self, lines: impl fmt::Display) {
        let _written = writeln!(self.err, "{lines}");
    }

    /// Writes a message to stderr. A failed write is ignored: the result still counts.
    pub(crate) fn message(&mut self, kind: &str, style: Style, line: impl fmt::Display) {
        let _written = writeln!(self.err, "{style}{kind}:{style:#} {line}");
    }
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, value) = self;
        write!(f, "{style}{value}{style:#}")
    }
}
