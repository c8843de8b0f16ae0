//! Pod source `agent`: a request to the node's agent on its Unix socket.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use mesh_cni_agent_api::{Bounded, Client, Deadline, HttpError, POD_TIMEOUT, ResponseError, path};
use mesh_cni_selector::PodFacts;
use mesh_cni_spec::PodArgs;

use super::FactsError;

/// How long STATUS waits. The agent answers at once, or is stuck.
const STATUS_TIMEOUT: Duration = Duration::from_millis(250);

/// How long to wait before the next attempt to reach an agent that has stopped.
const NEXT_ATTEMPT: Duration = Duration::from_millis(50);

/// A request for the facts about a pod that was sent, if the agent accepted it.
pub(super) struct Pending {
    socket: PathBuf,
    path: String,
    deadline: Deadline,
    sent: Result<Client<Bounded<UnixStream>>, HttpError>,
}

/// Requests the facts about that pod from the agent at that socket.
pub(super) fn request(socket: PathBuf, pod: &PodArgs) -> Pending {
    let path = path::pod(&pod.namespace, &pod.name, pod.uid.as_deref());
    let deadline = Deadline::after(POD_TIMEOUT);
    let sent = send(&socket, &path, POD_TIMEOUT);
    Pending {
        socket,
        path,
        deadline,
        sent,
    }
}

impl Pending {
    /// The facts in the agent's answer. If the agent has stopped and `may_wait`, they are those of the next one: an
    /// agent that is updated returns within seconds.
    pub(super) fn facts(self, may_wait: impl FnOnce() -> bool) -> Result<PodFacts, FactsError> {
        let mut response = self.sent.and_then(Client::receive);
        let waits = response.as_ref().is_err_and(has_stopped) && may_wait();
        while waits && response.as_ref().is_err_and(has_stopped) {
            sleep(NEXT_ATTEMPT);
            let Ok(remaining) = self.deadline.remaining() else {
                break;
            };
            response = match send(&self.socket, &self.path, remaining) {
                // The next agent replaces the socket.
                Err(HttpError::Io(error)) if error.kind() == ErrorKind::NotFound => continue,
                sent => sent.and_then(Client::receive),
            };
        }
        response
            .map_err(|source| no_response(&self.socket, source))?
            .pod_facts()
            .map_err(agent_error)
    }
}

/// Whether an agent listened on the socket since the node started, and none does now. Without a socket there was none.
fn has_stopped(error: &HttpError) -> bool {
    match error {
        HttpError::Incomplete => true,
        HttpError::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        _ => false,
    }
}

/// Whether the agent could answer for a pod now.
pub(super) fn available(socket: &Path) -> Result<(), FactsError> {
    let response = send(socket, path::READYZ_WATCH, STATUS_TIMEOUT)
        .and_then(Client::receive)
        .map_err(|source| no_response(socket, source))?;
    match response.status {
        200 => Ok(()),
        status => Err(FactsError::AgentStatus {
            status,
            message: response.message(),
        }),
    }
}

fn send(
    socket: &Path,
    path: &str,
    timeout: Duration,
) -> Result<Client<Bounded<UnixStream>>, HttpError> {
    let mut client = Client::connect(socket, timeout)?;
    client.get(path)?;
    Ok(client)
}

fn no_response(socket: &Path, source: HttpError) -> FactsError {
    FactsError::AgentUnreachable {
        socket: socket.to_owned(),
        source,
    }
}

fn agent_error(error: ResponseError) -> FactsError {
    match error {
        ResponseError::Status { status, message } => match status {
            404 => FactsError::NoPod(message),
            409 => FactsError::Replaced(message),
            422 => FactsError::InvalidPod(message),
            _ => FactsError::AgentStatus { status, message },
        },
        ResponseError::Json(error) => FactsError::AgentAnswer(error),
        ResponseError::Pod(error) => FactsError::NewerAgent(error),
    }
}
