//! Pod source `agent`: a request to the node's agent on its Unix socket.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_cni_agent_api::{Bounded, Client, HttpError, POD_TIMEOUT, Response, ResponseError, path};
use mesh_cni_selector::PodFacts;
use mesh_cni_spec::PodArgs;

use super::FactsError;

/// How long STATUS waits. The agent answers at once, or is stuck.
const STATUS_TIMEOUT: Duration = Duration::from_millis(250);

/// A request that was sent.
pub(super) struct Pending {
    socket: PathBuf,
    client: Client<Bounded<UnixStream>>,
}

/// Requests the facts about that pod from the agent at that socket.
pub(super) fn request(socket: &Path, pod: &PodArgs) -> Result<Pending, FactsError> {
    let path = path::pod(&pod.namespace, &pod.name, pod.uid.as_deref());
    get(socket, &path, POD_TIMEOUT)
}

impl Pending {
    /// The facts in the agent's answer.
    pub(super) fn facts(self) -> Result<PodFacts, FactsError> {
        self.response()?.pod_facts().map_err(agent_error)
    }

    fn response(self) -> Result<Response, FactsError> {
        self.client
            .receive()
            .map_err(|source| no_response(&self.socket, source))
    }
}

/// Whether the agent could answer for a pod now.
pub(super) fn available(socket: &Path) -> Result<(), FactsError> {
    let response = get(socket, path::READYZ_WATCH, STATUS_TIMEOUT)?.response()?;
    match response.status {
        200 => Ok(()),
        status => Err(FactsError::AgentStatus {
            status,
            message: response.message(),
        }),
    }
}

fn get(socket: &Path, path: &str, timeout: Duration) -> Result<Pending, FactsError> {
    let sent = || {
        let mut client = Client::connect(socket, timeout)?;
        client.get(path)?;
        Ok(client)
    };
    Ok(Pending {
        socket: socket.to_owned(),
        client: sent().map_err(|source| no_response(socket, source))?,
    })
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
