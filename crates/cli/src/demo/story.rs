//! How the demo tells what it does: numbered steps for people, one document for programs.

use std::fmt;
use std::io;

use serde_json::{Map, Value};

use crate::arguments::Output;
use crate::console::{BAD, BOLD, Console, DIM, GOOD, Styled};

/// The teller.
pub(crate) struct Story<'console, 'streams> {
    console: &'console mut Console<'streams>,
    output: Output,
    steps: usize,
    document: Map<String, Value>,
    as_expected: bool,
}

impl<'console, 'streams> Story<'console, 'streams> {
    pub(crate) fn new(console: &'console mut Console<'streams>, output: Output) -> Self {
        Self {
            console,
            output,
            steps: 0,
            document: Map::new(),
            as_expected: true,
        }
    }

    /// What it is all about.
    pub(crate) fn title(&mut self, title: &str) -> io::Result<()> {
        self.text(Styled(BOLD, title))
    }

    /// Opens a step.
    pub(crate) fn step(&mut self, title: &str) -> io::Result<()> {
        self.steps += 1;
        let number = self.steps;
        self.text(format_args!(
            "\n{}",
            Styled(BOLD, format!("{number}  {title}"))
        ))
    }

    /// A line below the step's title.
    pub(crate) fn say(&mut self, line: impl fmt::Display) -> io::Result<()> {
        self.text(format_args!("   {line}"))
    }

    /// A line that may be passed over.
    pub(crate) fn aside(&mut self, line: impl fmt::Display) -> io::Result<()> {
        self.say(Styled(DIM, line))
    }

    /// A text of several lines, such as a listing.
    pub(crate) fn block(&mut self, text: &str) -> io::Result<()> {
        self.text("")?;
        for line in text.trim_end().lines() {
            match line {
                "" => self.text("")?,
                line => self.say(line)?,
            }
        }
        Ok(())
    }

    /// Something that had to hold.
    pub(crate) fn check(&mut self, holds: bool, line: impl fmt::Display) -> io::Result<()> {
        self.as_expected &= holds;
        self.text(format_args!(" {} {line}", mark(holds)))
    }

    /// A part of the document for programs.
    pub(crate) fn record(&mut self, key: &str, value: Value) {
        self.document.insert(key.to_owned(), value);
    }

    /// Whether everything that had to hold did.
    pub(crate) fn as_expected(&self) -> bool {
        self.as_expected
    }

    /// The last line, or the whole document.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if self.output == Output::Json {
            self.record("as_expected", Value::Bool(self.as_expected));
            let document = Value::Object(self.document.clone());
            return self.console.line(format_args!("{document:#}"));
        }
        let line = if self.as_expected {
            Styled(GOOD.bold(), "Everything was as documented.")
        } else {
            Styled(
                BAD,
                "Something was not as documented, see the lines marked `no`.",
            )
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

/// `ok` or `no`, in two columns.
fn mark(holds: bool) -> Styled<&'static str> {
    if holds {
        Styled(GOOD, "ok")
    } else {
        Styled(BAD, "no")
    }
}
