//! Where results and words go, and the few colours they may have.

use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What did not.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is worth a second look.
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// What may be passed over.
pub(crate) const DIM: Style = Style::new().dimmed();

/// The two streams; whether colours come through is decided behind them.
pub(crate) struct Console<'streams> {
    out: &'streams mut dyn Write,
    err: &'streams mut dyn Write,
}

/// A value in a style.
pub(crate) struct Styled<T>(pub(crate) Style, pub(crate) T);

impl<'streams> Console<'streams> {
    pub(crate) fn new(out: &'streams mut dyn Write, err: &'streams mut dyn Write) -> Self {
        Self { out, err }
    }

    /// A part of the result, as it is.
    pub(crate) fn result(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// A line of the result.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Something odd that changes nothing about the result.
    pub(crate) fn warn(&mut self, line: impl fmt::Display) {
        self.word("warning", ODD, line);
    }

    /// Something to know about the result.
    pub(crate) fn note(&mut self, line: impl fmt::Display) {
        self.word("note", DIM, line);
    }

    /// Lines that belong to the words before them.
    pub(crate) fn aside(&mut self, lines: impl fmt::Display) {
        let _written = writeln!(self.err, "{lines}");
    }

    /// Words that cannot be written are lost; the result still counts.
    pub(crate) fn word(&mut self, kind: &str, style: Style, line: impl fmt::Display) {
        let _written = writeln!(self.err, "{style}{kind}:{style:#} {line}");
    }
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, value) = self;
        write!(f, "{style}{value}{style:#}")
    }
}
