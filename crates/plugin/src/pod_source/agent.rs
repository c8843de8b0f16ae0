//! Pod source `agent`: the node's agent is asked on its socket, and answers from its watch.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_cni_selector::PodFacts;
use mesh_cni_spec::PodArgs;
use serde_json::Value;

use super::FactsError;
use crate::agent_socket::connect;
use crate::http::{Answer, Deadline, HttpError, receive, send};

/// How long an ADD waits for the agent. The agent itself waits for the pod, then fetches it, and
/// answers in less.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long STATUS waits: it is asked every few seconds, and answers at once or not.
const GLANCE: Duration = Duration::from_millis(250);

/// A question on its way to the agent.
pub(super) struct Asked {
    socket: PathBuf,
    stream: UnixStream,
    deadline: Deadline,
}

/// Asks the agent at that socket for what it knows about the pod.
pub(super) fn ask(socket: &Path, pod: &PodArgs) -> Result<Asked, FactsError> {
    let (namespace, name) = (&pod.namespace, &pod.name);
    let uid = pod.uid.as_deref().filter(|uid| is_plain(uid));
    let query = uid.map(|uid| format!("?uid={uid}")).unwrap_or_default();
    let path = format!("/v1/pods/{namespace}/{name}{query}");
    get(socket, &path, PATIENCE)
}

impl Asked {
    /// The pod's facts, as the agent knows them.
    pub(super) fn facts(self) -> Result<PodFacts, FactsError> {
        let answer = self.answer()?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(FactsError::AgentAnswer),
            404 => Err(FactsError::NoPod(words(&answer))),
            409 => Err(FactsError::Replaced(words(&answer))),
            422 => Err(FactsError::PodUnreadable(words(&answer))),
            status => Err(FactsError::AgentRefused {
                status,
                words: words(&answer),
            }),
        }
    }

    fn answer(mut self) -> Result<Answer, FactsError> {
        let answer = receive(&mut self.stream, self.deadline);
        answer.map_err(|source| away(&self.socket, source))
    }
}

/// Whether the agent could answer for a pod now.
pub(super) fn available(socket: &Path) -> Result<(), FactsError> {
    let answer = get(socket, "/readyz/watch", GLANCE)?.answer()?;
    match answer.status {
        200 => Ok(()),
        status => Err(FactsError::AgentRefused {
            status,
            words: String::from_utf8_lossy(&answer.body).trim().to_owned(),
        }),
    }
}

fn get(socket: &Path, path: &str, patience: Duration) -> Result<Asked, FactsError> {
    let deadline = Deadline::after(patience);
    let connected = connect(socket).and_then(|stream| {
        stream.set_nonblocking(false)?;
        Ok(stream)
    });
    let mut stream = connected.map_err(|error| away(socket, HttpError::Io(error)))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
    send(&mut stream, request.as_bytes(), deadline).map_err(|source| away(socket, source))?;
    Ok(Asked {
        socket: socket.to_owned(),
        stream,
        deadline,
    })
}

fn away(socket: &Path, source: HttpError) -> FactsError {
    FactsError::AgentAway {
        socket: socket.to_owned(),
        source,
    }
}

/// The agent's own words for what is wrong.
fn words(answer: &Answer) -> String {
    let body = serde_json::from_slice::<Value>(&answer.body);
    let said = body
        .ok()
        .and_then(|body| body["error"].as_str().map(str::to_owned));
    said.unwrap_or_else(|| "it says no more".to_owned())
}

/// Whether a UID can stand in a path as it is. Kubernetes makes no others.
fn is_plain(uid: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    uid.bytes().all(plain)
}
