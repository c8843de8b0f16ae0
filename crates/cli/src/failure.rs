//! How a command ends: its exit code, and the error and hints of one that failed.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use error_reporter::Report;

use crate::console::{BAD, Console, DIM};

const OUTPUT: &str = "cannot write the result to stdout";

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// 0: done, or the answer is yes.
    Done,
    /// 1: the answer is no.
    No,
    /// 2: wrong use or bad input.
    Wrong,
    /// 3: the environment failed.
    Failed,
    /// 126: the rules do not redirect. Istio's validation uses the same code, and programs that
    /// repair pods look for it.
    NotRedirected,
}

/// A command without a result, and what the user can do.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    subject: Option<String>,
    error: Box<dyn Error + Send + Sync>,
    shown: Option<String>,
    hints: Vec<String>,
}

impl Failure {
    /// Wrong use, or input that cannot be used.
    pub(crate) fn wrong(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Wrong, error.into())
    }

    /// The machine failed: a file, the kernel or a program.
    pub(crate) fn environment(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Failed, error.into())
    }

    /// The validation found that the rules do not redirect.
    pub(crate) fn not_redirected(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::NotRedirected, error.into())
    }

    fn new(exit: Exit, error: Box<dyn Error + Send + Sync>) -> Self {
        Self {
            exit,
            subject: None,
            error,
            shown: None,
            hints: Vec::new(),
        }
    }

    /// Prefixes the error with the thing that it concerns.
    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Shows the wrong text with a caret under that position (in characters, from 1).
    pub(crate) fn showing(mut self, text: &str, position: usize) -> Self {
        let indent = " ".repeat(position.saturating_sub(1));
        self.shown = Some(format!("  {text}\n  {indent}^"));
        self
    }

    /// Adds a remedy.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        if self.is_broken_pipe() {
            return Exit::Done;
        }
        self.exit
    }

    /// The error and its causes, on one line.
    pub(crate) fn message(&self) -> String {
        let report = Report::new(&*self.error);
        match &self.subject {
            Some(subject) => format!("{subject}: {report}"),
            None => report.to_string(),
        }
    }

    /// Prints the error and the hints.
    pub(crate) fn print(&self, console: &mut Console<'_>) {
        if self.is_broken_pipe() {
            return;
        }
        console.message("error", BAD, self.message());
        if let Some(shown) = &self.shown {
            console.detail(shown);
        }
        for hint in &self.hints {
            console.message("hint", DIM, hint);
        }
    }

    /// Whether the result cannot be written, so that nothing more can.
    pub(crate) fn is_about_output(&self) -> bool {
        self.subject.as_deref() == Some(OUTPUT)
    }

    /// The reader closed the pipe early, as `head` does: not an error.
    fn is_broken_pipe(&self) -> bool {
        let error = self.error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<io::Error> for Failure {
    /// The result cannot be written.
    fn from(error: io::Error) -> Self {
        Self::environment(error).about(OUTPUT)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Wrong => 2,
            Exit::Failed => 3,
            Exit::NotRedirected => 126,
        })
    }
}
