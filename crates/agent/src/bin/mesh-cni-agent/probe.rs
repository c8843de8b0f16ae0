//! The kubelet's probes. They ask on the socket, which other users cannot block.

use std::path::Path;
use std::time::Duration;

use mesh_cni_agent_api::{Client, HttpError, Response, SOCKET_FILE, path};
use mesh_cni_installer::error_chain;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::flags::Probe;

/// The time limit of a probe. The kubelet's must be longer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the agent of this container. The error is for people.
pub(crate) fn ask(run_dir: &Path, probe: Probe) -> Result<(), String> {
    let socket = run_dir.join(SOCKET_FILE);
    let response = request(&socket, probe).map_err(|error| {
        format!(
            "no agent answers on `{}`: {}",
            socket.display(),
            error_chain(&error)
        )
    })?;
    let response = response.ok_or_else(|| {
        format!(
            "an agent outside of this container answers on `{}`",
            socket.display()
        )
    })?;
    match response.status {
        200 => Ok(()),
        _ => Err(String::from_utf8_lossy(&response.body)
            .trim_end()
            .to_owned()),
    }
}

/// The response; `None` if the process that listens is not visible here, so not in this container.
fn request(socket: &Path, probe: Probe) -> Result<Option<Response>, HttpError> {
    let mut client = Client::connect(socket, TIMEOUT)?;
    let listens = getsockopt(client.stream(), PeerCredentials).map_err(std::io::Error::from)?;
    if listens.pid() == 0 {
        return Ok(None);
    }
    client.get(match probe {
        Probe::Live => path::HEALTHZ,
        Probe::Ready => path::READYZ,
    })?;
    client.receive().map(Some)
}
