//! Sends the result of an ADD to the agent, which counts it and forwards the log lines.

use std::io::Write as _;
use std::time::Duration;

use mesh_cni_agent_api::{AddOutcome, LogLine, MAX_WARNINGS, Report, ReportedWarning};
use mesh_cni_plan::Warning;

use crate::agent_socket;
use crate::invocation::Invocation;

/// The longest log message in a report, in characters.
const MAX_MESSAGE_CHARS: usize = 1000;

/// The most log lines in a report; only an unusual ADD writes more.
const MAX_LINES: usize = 12;

/// How an ADD ended.
pub(crate) struct Summary {
    pub(crate) outcome: AddOutcome,
    /// The kind of sidecar, the code of a skip, or the code of an error.
    pub(crate) reason: String,
    /// The back end that programmed the rules, or nothing.
    pub(crate) backend: String,
    /// What is unusual about a redirected pod.
    pub(crate) warnings: Vec<Warning>,
}

impl Summary {
    pub(crate) fn new(outcome: AddOutcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            reason: reason.into(),
            backend: String::new(),
            warnings: Vec::new(),
        }
    }
}

/// Sends the report without blocking: one write, which a new socket accepts completely. If no agent
/// listens, or it is stuck, the report is lost; the log file still has the lines.
pub(crate) fn send(invocation: &Invocation<'_>, summary: &Summary, duration: Duration) {
    let socket = agent_socket::path(&invocation.conf);
    if let Ok(mut stream) = agent_socket::connect(&socket) {
        let request = report(invocation, summary, duration).to_request();
        drop(stream.write_all(&request));
    }
}

fn report(invocation: &Invocation<'_>, summary: &Summary, duration: Duration) -> Report {
    let pod = invocation.pod.clone();
    let (namespace, name, uid) =
        pod.map_or_else(Default::default, |pod| (pod.namespace, pod.name, pod.uid));
    let lines = invocation.log.lines();
    Report {
        namespace,
        name,
        uid,
        container_id: invocation.container_id().to_owned(),
        decision: summary.outcome,
        reason: summary.reason.clone(),
        duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        backend: summary.backend.clone(),
        lines: lines
            .iter()
            .take(MAX_LINES)
            .map(|(level, message)| LogLine {
                level: (*level).to_owned(),
                message: message.chars().take(MAX_MESSAGE_CHARS).collect(),
            })
            .collect(),
        warnings: summary
            .warnings
            .iter()
            .map(|warning| ReportedWarning::new(warning.code.as_str(), &warning.message))
            .take(MAX_WARNINGS)
            .collect(),
    }
}
