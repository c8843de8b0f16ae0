//! Requests to the node's agent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_cni_agent_api::{
    AgentStatus, Client, HttpError, POD_TIMEOUT, PodList, Response, ResponseError, path,
};
use mesh_cni_selector::PodFacts;
use thiserror::Error;

/// The timeout for the agent's status, which needs no lookup.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// The most pages of pods that are requested: for more pods than a node can run.
const MAX_PAGES: usize = 50;

/// A request without a usable answer.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    #[error("no agent answers at `{}`", socket.display())]
    NoAnswer {
        socket: PathBuf,
        #[source]
        source: HttpError,
    },
    #[error("the agent at `{}`", socket.display())]
    Response {
        socket: PathBuf,
        #[source]
        source: ResponseError,
    },
}

/// The facts at one of the agent's paths, such as `/v1/pods/default/web`.
pub(crate) fn facts(socket: &Path, path: &str) -> Result<PodFacts, AgentError> {
    get(socket, path, POD_TIMEOUT, Response::pod_facts)
}

/// The state of the node, as the agent reports it.
pub(crate) fn status(socket: &Path) -> Result<AgentStatus, AgentError> {
    get(socket, path::STATUS, STATUS_TIMEOUT, Response::json)
}

/// `NAMESPACE/NAME` of the pods that the agent knows. They only make an error clearer, so without an answer
/// there are none.
pub(crate) fn pod_names(socket: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let path = path::pods(after.as_deref());
        let Ok(page) = get::<PodList>(socket, &path, POD_TIMEOUT, Response::json) else {
            break;
        };
        let full_names = page.pods.iter();
        names.extend(full_names.map(|pod| format!("{}/{}", pod.namespace, pod.name)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    names
}

/// The agent's metrics, in the text format.
pub(crate) fn metrics(socket: &Path) -> Result<String, AgentError> {
    let text = |response: &Response| match response.status {
        200 => Ok(String::from_utf8_lossy(&response.body).into_owned()),
        status => Err(ResponseError::Status {
            status,
            message: response.message(),
        }),
    };
    get(socket, path::METRICS, STATUS_TIMEOUT, text)
}

fn get<T>(
    socket: &Path,
    path: &str,
    timeout: Duration,
    read: impl FnOnce(&Response) -> Result<T, ResponseError>,
) -> Result<T, AgentError> {
    let exchange = || {
        let mut client = Client::connect(socket, timeout)?;
        client.get(path)?;
        client.receive()
    };
    let response = exchange().map_err(|source| AgentError::NoAnswer {
        socket: socket.to_owned(),
        source,
    })?;
    read(&response).map_err(|source| AgentError::Response {
        socket: socket.to_owned(),
        source,
    })
}
