//! The node's agent, asked on its socket: what it knows about a pod, and how it is itself.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_cni_selector::PodFacts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// For a pod; the agent itself gives up earlier.
const PATIENCE: Duration = Duration::from_secs(20);

/// For how it is itself, which it answers at once or not.
const GLANCE: Duration = Duration::from_secs(2);

/// Kubernetes stores no object that comes near it.
const LIMIT: u64 = 4 << 20;

/// Why the agent told nothing.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    #[error("no agent answers at `{}`", path.display())]
    Silent {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the agent says: {0}")]
    Refused(String),
    #[error("what the agent at `{}` answers is not understood: {why}", path.display())]
    Garbled { path: PathBuf, why: String },
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// How the agent is, as it says.
#[derive(Debug, Deserialize)]
pub(crate) struct AgentStatus {
    /// In a word: `running` or `updating`.
    pub(crate) state: String,
    /// Why, in one line.
    pub(crate) why: String,
}

/// The facts at that path of the agent's, such as `/v1/pods/default/web`.
pub(crate) fn facts(socket: &Path, path: &str) -> Result<PodFacts, AgentError> {
    get(socket, path, PATIENCE)
}

/// How the agent is.
pub(crate) fn status(socket: &Path) -> Result<AgentStatus, AgentError> {
    get(socket, "/v1/status", GLANCE)
}

fn get<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    patience: Duration,
) -> Result<T, AgentError> {
    let answer = ask(socket, path, patience).map_err(|source| AgentError::Silent {
        path: socket.to_owned(),
        source,
    })?;
    read(&answer).unwrap_or_else(|why| {
        let path = socket.to_owned();
        Err(AgentError::Garbled { path, why })
    })
}

/// As HTTP/1.0, so that the answer comes in one piece and ends with the connection.
fn ask(socket: &Path, path: &str, patience: Duration) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: agent\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer)?;
    Ok(answer)
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<Result<T, AgentError>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(answer).map_err(|error| error.to_string())?;
    let httparse::Status::Complete(length) = parsed else {
        return Err("it ends too early".to_owned());
    };
    let body = &answer[length..];
    let not_json = |error: serde_json::Error| error.to_string();
    match head.code {
        Some(200) => serde_json::from_slice(body).map(Ok).map_err(not_json),
        Some(code) => match serde_json::from_slice(body) {
            Ok(Refusal { error }) => Ok(Err(AgentError::Refused(error))),
            Err(_other_shape) => Err(format!("status {code}")),
        },
        None => Err("it has no status".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answer: &str) -> String {
        match read::<PodFacts>(answer.as_bytes()) {
            Ok(Ok(facts)) => facts.name,
            Ok(Err(error)) => error.to_string(),
            Err(why) => why,
        }
    }

    #[test]
    fn facts_refusals_and_nonsense_are_told_apart() {
        let facts = r#"{"namespace": "shop", "name": "cart"}"#;
        assert_eq!(told(&format!("HTTP/1.0 200 OK\r\n\r\n{facts}")), "cart");
        let refusal = "HTTP/1.1 404 Not Found\r\na: b\r\n\r\n{\"error\": \"no pod\"}";
        assert_eq!(told(refusal), "the agent says: no pod");
        assert_eq!(told("HTTP/1.1 500 Broken\r\n\r\n"), "status 500");
        assert_eq!(told("HTTP/1.1 200"), "it ends too early");
        assert_eq!(told("SSH-2.0\r\n\r\n"), "invalid HTTP version");
        assert!(told("HTTP/1.1 200 OK\r\n\r\n{").contains("EOF"));
    }
}
