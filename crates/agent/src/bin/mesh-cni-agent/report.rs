//! What the program prints: results on stdout, as text or JSON, and everything else on stderr.

use std::io::{self, Write};
use std::process::ExitCode;

use mesh_cni_agent_api::{PodList, Refusals};
use mesh_cni_installer::{NodeStatus, Outcome, Progress, error_chain};
use mesh_cni_text::escaped_lines;

use crate::agent_state::AgentState;
use crate::failure::Failure;
use crate::flags::Format;
use crate::json::{InstallDocument, StatusDocument, document};

/// Prints the steps of an installation as they are done.
pub(crate) struct StepPrinter {
    format: Format,
    printed: io::Result<()>,
}

impl StepPrinter {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            printed: Ok(()),
        }
    }

    pub(crate) fn event(&mut self, event: &Progress<'_>) {
        match event {
            Progress::Waiting(refusal) => {
                print_error(&format!("waiting: {}", error_chain(*refusal)));
            }
            Progress::Done(step) if self.format == Format::Text => self.print(&step.to_string()),
            Progress::Done(_) => {}
        }
    }

    /// Prints the notes, or as JSON everything.
    pub(crate) fn finish(mut self, outcome: &Outcome) -> Result<ExitCode, Failure> {
        match self.format {
            Format::Text => {
                for note in &outcome.notes {
                    self.print(&note.to_string());
                }
            }
            Format::Json => self.print(&document(&InstallDocument::from(outcome))),
        }
        self.printed.map_err(|error| Failure::stdout(&error))?;
        Ok(ExitCode::SUCCESS)
    }

    /// A closed stdout does not stop the work; it is an error at the end.
    fn print(&mut self, line: &str) {
        if self.printed.is_ok() {
            self.printed = writeln!(io::stdout().lock(), "{line}");
        }
    }
}

/// Prints the state of the installation and of the agent.
pub(crate) fn print_status(
    format: Format,
    status: &NodeStatus,
    agent: &AgentState,
) -> Result<(), Failure> {
    let text = match format {
        Format::Text => status_text(status, agent),
        Format::Json => document(&StatusDocument::new(status, agent)),
    };
    writeln!(io::stdout().lock(), "{}", escaped_lines(&text))
        .map_err(|error| Failure::stdout(&error))
}

/// Prints the pods of this node.
pub(crate) fn print_pods(format: Format, list: &PodList) -> Result<(), Failure> {
    let text = match format {
        Format::Text => pods_text(list),
        Format::Json => document(list),
    };
    writeln!(io::stdout().lock(), "{}", escaped_lines(&text))
        .map_err(|error| Failure::stdout(&error))
}

fn pods_text(list: &PodList) -> String {
    let names: Vec<_> = list
        .pods
        .iter()
        .map(|pod| format!("{}/{}", pod.namespace, pod.name))
        .collect();
    let width = names.iter().map(String::len).max().unwrap_or_default();
    let note = list.note.iter().map(|note| format!("note: {note}"));
    let title = format!("{:width$}  MESH     DECISION  RULES    REASON", "POD");
    let rows = list.pods.iter().zip(&names).map(|(pod, name)| {
        let (decision, rules) = (pod.decision.as_str(), pod.rules.as_str());
        let detail = pod.rules_detail.as_ref().filter(|it| **it != pod.reason);
        let detail = detail.map(|detail| format!("; rules: {detail}"));
        let refusals = pod.refusals.as_ref().map(|Refusals { count, code, .. }| {
            format!("; {count} failed ADDs, the last with code {code}")
        });
        let (detail, refusals) = (detail.unwrap_or_default(), refusals.unwrap_or_default());
        let ambient = pod.ambient.as_ref().map(|pod| format!("; {pod}"));
        let ambient = ambient.unwrap_or_default();
        let (mesh, reason) = (pod.mesh.as_deref().unwrap_or("-"), &pod.reason);
        format!(
            "{name:width$}  {mesh:7}  {decision:8}  {rules:7}  {reason}{detail}{ambient}{refusals}"
        )
    });
    note.chain([title])
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

fn status_text(status: &NodeStatus, agent: &AgentState) -> String {
    agent
        .summary()
        .map(|(state, why)| format!("{state}: {why}"))
        .into_iter()
        .chain([status.installation.to_string()])
        .chain(status.problems.iter().map(|problem| format!("  {problem}")))
        .chain(
            status
                .nested
                .iter()
                .map(|entry| format!("  nested: {entry}")),
        )
        .chain(status.notes.iter().map(|note| format!("  {note}")))
        .chain(agent.repair_lines())
        .chain(agent.ambient_lines())
        .chain(agent.warning_line())
        .collect::<Vec<_>>()
        .join("\n")
}

pub(crate) fn warn(message: &str) {
    print_error(&format!("warning: {message}"));
}

/// A closed stderr is ignored.
pub(crate) fn print_error(text: &str) {
    drop(writeln!(io::stderr().lock(), "{}", escaped_lines(text)));
}
