//! Tells the agent how an ADD ended. The agent counts it and forwards the lines of log; the pod
//! never waits for it.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mesh_cni_spec::CniError;
use serde_json::{Value, json};

use crate::agent_socket;
use crate::call::Call;

/// How long one line of log may be in a report, in characters.
const MAX_LINE: usize = 1000;

/// How many lines of log a report holds: all but an odd call have fewer.
const MAX_LINES: usize = 12;

/// How an ADD ended.
pub(crate) struct Outcome {
    decision: &'static str,
    reason: String,
    backend: String,
}

impl Outcome {
    pub(crate) fn redirected(sidecar: &'static str, backend: String) -> Self {
        Self {
            decision: "redirect",
            reason: sidecar.to_owned(),
            backend,
        }
    }

    pub(crate) fn skipped(code: &str) -> Self {
        Self::of("skip", code.to_owned())
    }

    pub(crate) fn no_pod() -> Self {
        Self::of("no_pod", String::new())
    }

    pub(crate) fn failed(error: &CniError) -> Self {
        Self::of("error", error.code().number().to_string())
    }

    fn of(decision: &'static str, reason: String) -> Self {
        let backend = String::new();
        Self {
            decision,
            reason,
            backend,
        }
    }
}

/// Sends the report to where an agent would listen, in a connection that never blocks. Where none
/// listens, or it is stuck, the report is lost, and the log file on the host has the lines.
pub(crate) fn send(call: &Call<'_>, outcome: &Outcome, took: Duration) {
    let socket = agent_socket::path(&call.conf);
    if let Ok(stream) = agent_socket::connect(&socket) {
        // Nobody looks at why it was lost.
        drop(post(stream, &body(call, outcome, took).to_string()));
    }
}

fn body(call: &Call<'_>, outcome: &Outcome, took: Duration) -> Value {
    let pod = call.pod();
    let lines = call.journal.lines();
    let lines = lines.iter().take(MAX_LINES).map(|(level, message)| {
        let message: String = message.chars().take(MAX_LINE).collect();
        json!({"level": level, "message": message})
    });
    json!({
        "namespace": pod.map_or("", |pod| &pod.namespace),
        "name": pod.map_or("", |pod| &pod.name),
        "container_id": call.container_id(),
        "decision": outcome.decision,
        "reason": outcome.reason,
        "duration_us": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "backend": outcome.backend,
        "lines": lines.collect::<Vec<_>>(),
    })
}

/// One write: a fresh socket takes a whole report at once.
fn post(mut stream: UnixStream, body: &str) -> io::Result<()> {
    let head = format!(
        "POST /v1/reports HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes())
}
