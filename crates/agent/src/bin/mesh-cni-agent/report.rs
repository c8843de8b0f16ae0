//! What is said: results on stdout for people or programs, everything else on stderr.

use std::error::Error as StdError;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use mesh_cni_installer::{
    DiskError, Error, Installation, NodeStatus, Outcome, Progress, Step, error_chain as one_line,
};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::flags::{Format, OutputFlag};

/// A command that ends without an answer.
pub(crate) struct Failure {
    code: u8,
    message: String,
    remedy: &'static str,
}

/// Tells steps as they are done.
pub(crate) struct Report {
    format: Format,
    printed: io::Result<()>,
}

impl Failure {
    pub(crate) fn wrong_use(error: &(dyn StdError + 'static), remedy: &'static str) -> Self {
        Self::new(2, one_line(error), remedy)
    }

    pub(crate) fn wrong(message: String, remedy: &'static str) -> Self {
        Self::new(2, message, remedy)
    }

    pub(crate) fn bad_file(
        file: &Path,
        error: &(dyn StdError + 'static),
        remedy: &'static str,
    ) -> Self {
        let message = format!("entry in `{}`: {}", file.display(), one_line(error));
        Self::new(2, message, remedy)
    }

    pub(crate) fn environment(error: &(dyn StdError + 'static), remedy: &'static str) -> Self {
        Self::new(3, one_line(error), remedy)
    }

    pub(crate) fn tell(&self) -> ExitCode {
        complain(&format!("error: {}\nhint: {}", self.message, self.remedy));
        ExitCode::from(self.code)
    }

    fn new(code: u8, message: String, remedy: &'static str) -> Self {
        Self {
            code,
            message,
            remedy,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::environment(&error, error.remedy())
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Error::from(error).into()
    }
}

impl Report {
    pub(crate) fn new(output: OutputFlag) -> Self {
        Self {
            format: output.output,
            printed: Ok(()),
        }
    }

    pub(crate) fn tell(&mut self, event: &Progress<'_>) {
        match event {
            Progress::Waiting(refusal) => complain(&format!("waiting: {refusal}")),
            Progress::Done(step) if self.format == Format::Text => self.print(&step.to_string()),
            Progress::Done(_) => {}
        }
    }

    /// Says what was left as it was; for programs, all of it.
    pub(crate) fn end(mut self, outcome: &Outcome) -> Result<ExitCode, Failure> {
        match self.format {
            Format::Text => {
                for note in &outcome.notes {
                    self.print(&note.to_string());
                }
            }
            Format::Json => self.print(&outcome_json(outcome).to_string()),
        }
        self.printed.map_err(|error| unprinted(&error))?;
        Ok(ExitCode::SUCCESS)
    }

    /// A reader that went away stops no work; it is told at the end.
    fn print(&mut self, line: &str) {
        if self.printed.is_ok() {
            self.printed = writeln!(io::stdout().lock(), "{line}");
        }
    }
}

/// Says what the node is like, and what the agent on it says.
pub(crate) fn status(
    output: OutputFlag,
    status: &NodeStatus,
    agent: &Agent,
) -> Result<(), Failure> {
    let text = match output.output {
        Format::Text => status_text(status, agent),
        Format::Json => status_json(status, agent).to_string(),
    };
    writeln!(io::stdout().lock(), "{text}").map_err(|error| unprinted(&error))
}

fn status_text(status: &NodeStatus, agent: &Agent) -> String {
    let state = agent.state().map(|(state, why)| format!("{state}: {why}"));
    let reasons = status.problems.iter().map(|problem| format!("  {problem}"));
    let lines = state
        .into_iter()
        .chain([status.installation.to_string()])
        .chain(reasons)
        .chain(agent.repair());
    lines.collect::<Vec<_>>().join("\n")
}

fn status_json(status: &NodeStatus, agent: &Agent) -> Value {
    let reasons: Vec<_> = status.problems.iter().map(ToString::to_string).collect();
    let mut document = json!({
        "status": status_word(status.installation),
        "conf": status.conf,
        "reasons": reasons,
    });
    if let Some((state, why)) = agent.state() {
        document["state"] = Value::from(state);
        document["why"] = Value::from(why);
    }
    if let Agent::Says(said) = agent {
        document["agent"] = said.clone();
    }
    document
}

pub(crate) fn warn(message: &str) {
    complain(&format!("warning: {message}"));
}

fn outcome_json(outcome: &Outcome) -> Value {
    let notes: Vec<_> = outcome.notes.iter().map(ToString::to_string).collect();
    let steps: Vec<_> = outcome.steps.iter().map(step_json).collect();
    json!({"steps": steps, "notes": notes})
}

fn step_json(step: &Step) -> Value {
    json!({"step": step.name(), "path": step.path(), "text": step.to_string()})
}

fn status_word(installation: Installation) -> &'static str {
    match installation {
        Installation::Installed => "installed",
        Installation::NotInstalled => "not-installed",
        Installation::Partly => "partly",
    }
}

fn unprinted(error: &io::Error) -> Failure {
    let remedy = "the work is done: ask `mesh-cni-agent status`";
    Failure::new(3, format!("cannot write to stdout: {error}"), remedy)
}

/// There is nowhere left to complain about a stderr that is closed.
fn complain(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
