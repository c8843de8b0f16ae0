//! How a command ends: its exit code, and where it failed, what to say about it.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use crate::console::{BAD, Console, DIM};

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done, or the answer is yes.
    Done,
    /// 1: the answer is no.
    No,
    /// 2: wrong use or bad input.
    Wrong,
    /// 3: the environment failed.
    Failed,
    /// 126: the rules do not redirect, the code of Istio's own validation, by which programs that
    /// repair pods know it.
    Unproven,
}

/// A command that came to no result, and the way out.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    subject: Option<String>,
    error: Box<dyn Error + Send + Sync>,
    shown: Option<String>,
    hints: Vec<String>,
}

impl Failure {
    /// The caller asked wrongly, or handed in something that cannot be used.
    pub(crate) fn wrong(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Wrong, error.into())
    }

    /// The machine did not do its part.
    pub(crate) fn environment(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Failed, error.into())
    }

    /// The rules were put to the proof and failed.
    pub(crate) fn unproven(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Unproven, error.into())
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

    /// Says what it was about.
    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Shows the text that is wrong, a caret under that position (in characters, from 1).
    pub(crate) fn showing(mut self, text: &str, position: usize) -> Self {
        let blanks = " ".repeat(position.saturating_sub(1));
        self.shown = Some(format!("  {text}\n  {blanks}^"));
        self
    }

    /// Adds what to do about it.
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

    /// The whole chain of causes, on one line.
    pub(crate) fn message(&self) -> String {
        let chain = chain(self.error.as_ref());
        match &self.subject {
            Some(subject) => format!("{subject}: {chain}"),
            None => chain,
        }
    }

    /// Says what is wrong and what helps.
    pub(crate) fn tell(&self, console: &mut Console<'_>) {
        if self.is_broken_pipe() {
            return;
        }
        console.word("error", BAD, self.message());
        if let Some(shown) = &self.shown {
            console.aside(shown);
        }
        for hint in &self.hints {
            console.word("hint", DIM, hint);
        }
    }

    /// Whoever read the result has read enough.
    fn is_broken_pipe(&self) -> bool {
        let error = self.error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// An error and its causes, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        chain.push_str(": ");
        chain.push_str(&error.to_string());
        cause = error.source();
    }
    chain
}

impl From<io::Error> for Failure {
    /// The result could not be written.
    fn from(error: io::Error) -> Self {
        Self::environment(error).hint("the result could not be written to stdout")
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Wrong => 2,
            Exit::Failed => 3,
            Exit::Unproven => 126,
        })
    }
}
