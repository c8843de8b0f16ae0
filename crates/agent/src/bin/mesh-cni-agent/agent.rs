//! The agent that runs on this node, as `status` asks it on its socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the agent says, where there is or was one.
pub(crate) enum Agent {
    /// No agent has run here.
    None,
    /// It says so: the answer of `GET /v1/status`.
    Says(Value),
    /// Its socket is there, and nobody answers.
    Silent(PathBuf),
}

impl Agent {
    /// Asks on the socket of that run directory.
    pub(crate) fn ask(run_dir: &Path) -> Self {
        let socket = run_dir.join("agent.sock");
        if !socket.exists() {
            return Self::None;
        }
        match status(&socket) {
            Ok(Some(status)) => Self::Says(status),
            Ok(None) | Err(_) => Self::Silent(socket),
        }
    }

    /// *running* or *updating*, and why; `None` without an agent.
    pub(crate) fn state(&self) -> Option<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match self {
            Self::None => None,
            Self::Says(status) => Some((text(&status["state"]), text(&status["why"]))),
            Self::Silent(socket) => {
                let why = format!("no agent answers on {}", socket.display());
                Some(("updating".to_owned(), why))
            }
        }
    }

    /// What it says of repair, in lines; none where it repairs nothing.
    pub(crate) fn repair(&self) -> Vec<String> {
        match self {
            Self::Says(status) if status["repair"].is_object() => repair_lines(&status["repair"]),
            _ => Vec::new(),
        }
    }
}

/// What it says of repair: a line, and one for each pod that is broken.
fn repair_lines(repair: &Value) -> Vec<String> {
    let number = |field: &str| repair[field].as_u64().unwrap_or(0);
    let list = |field: &str| repair[field].as_array().into_iter().flatten();
    let remedies: Vec<_> = list("remedies").filter_map(Value::as_str).collect();
    let line = format!(
        "repair ({}): {} done, {} failed, {} broken",
        remedies.join(", "),
        number("done"),
        number("failed"),
        number("broken")
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = list("pods").map(|pod| format!("  {}: {}", text(&pod["pod"]), text(&pod["why"])));
    std::iter::once(line).chain(pods).collect()
}

fn status(socket: &Path) -> io::Result<Option<Value>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(body.and_then(|body| serde_json::from_str(body).ok()))
}
