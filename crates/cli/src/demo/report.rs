//! Reports the steps and checks of the demo: as text for people, or as one JSON document.

use std::fmt;
use std::io;

use serde_json::{Map, Value};

use crate::arguments::Output;
use crate::console::{BAD, BOLD, Console, DIM, GOOD, Styled};

/// Prints steps as they happen, or collects the JSON document.
pub(crate) struct Report<'console, 'streams> {
    console: &'console mut Console<'streams>,
    output: Output,
    steps: usize,
    document: Map<String, Value>,
    as_expected: bool,
}

impl<'console, 'streams> Report<'console, 'streams> {
    pub(crate) fn new(console: &'console mut Console<'streams>, output: Output) -> Self {
        Self {
            console,
            output,
            steps: 0,
            document: Map::new(),
            as_expected: true,
        }
    }

    pub(crate) fn title(&mut self, title: &str) -> io::Result<()> {
        self.text(Styled(BOLD, title))
    }

    /// Starts a step, with its number.
    pub(crate) fn step(&mut self, title: &str) -> io::Result<()> {
        self.steps += 1;
        let number = self.steps;
        self.text(format_args!(
            "\n{}",
            Styled(BOLD, format!("{number}  {title}"))
        ))
    }

    /// Prints a line of the step.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        self.text(format_args!("   {line}"))
    }

    /// Prints a less important line.
    pub(crate) fn detail(&mut self, line: impl fmt::Display) -> io::Result<()> {
        self.line(Styled(DIM, line))
    }

    /// Prints a text of several lines, such as a listing.
    pub(crate) fn block(&mut self, text: &str) -> io::Result<()> {
        self.text("")?;
        for line in text.trim_end().lines() {
            match line {
                "" => self.text("")?,
                line => self.line(line)?,
            }
        }
        Ok(())
    }

    /// Prints a check, `ok` or `no`.
    pub(crate) fn check(&mut self, holds: bool, line: impl fmt::Display) -> io::Result<()> {
        self.as_expected &= holds;
        let mark = if holds {
            Styled(GOOD, "ok")
        } else {
            Styled(BAD, "no")
        };
        self.text(format_args!(" {mark} {line}"))
    }

    /// Adds a value to the JSON document.
    pub(crate) fn record(&mut self, key: &str, value: Value) {
        self.document.insert(key.to_owned(), value);
    }

    /// Whether all checks passed.
    pub(crate) fn as_expected(&self) -> bool {
        self.as_expected
    }

    /// Prints the last line, or the whole document.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.output == Output::Json {
            self.record("as_expected", Value::Bool(self.as_expected));
            let document = Value::Object(self.document.clone());
            return self.console.line(format_args!("{document:#}"));
        }
        let line = if self.as_expected {
            Styled(GOOD.bold(), "All checks passed.")
        } else {
            Styled(BAD, "Some checks failed: see the lines marked `no`.")
        };
        self.console.line(format_args!("\n{line}"))
    }

    fn text(&mut self, line: impl fmt::Display) -> io::Result<()> {
        match self.output {
            Output::Text => self.console.line(line),
            Output::Json => Ok(()),
        }
    }
}
