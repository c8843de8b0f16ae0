//! The pods of this node, requested from the agent on its socket.

use std::path::Path;
use std::time::Duration;

use mesh_cni_agent_api::{Client, HttpError, PodList, Response, ResponseError, SOCKET_FILE, path};

use crate::failure::Failure;

/// The time limit of one request. The agent responds within 8 seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most pages that are requested: for more pods than a node can run.
const MAX_PAGES: usize = 50;

/// Every page in one.
pub(crate) fn request(run_dir: &Path) -> Result<PodList, Failure> {
    let socket = run_dir.join(SOCKET_FILE);
    let mut list = page(&socket, None)?;
    for _ in 1..MAX_PAGES {
        let Some(after) = list.next.take() else {
            break;
        };
        let page = page(&socket, Some(&after))?;
        list.pods.extend(page.pods);
        list.next = page.next;
        list.total = page.total;
    }
    Ok(list)
}

fn page(socket: &Path, after: Option<&str>) -> Result<PodList, Failure> {
    let exchange = || -> Result<Response, HttpError> {
        let mut client = Client::connect(socket, TIMEOUT)?;
        client.get(&path::pods(after))?;
        client.receive()
    };
    let response = exchange().map_err(|error| {
        let hint = "check that the agent runs on this node, and set --run-dir to its run directory";
        Failure::environment(&error, hint)
            .about(&format!("no agent answers on `{}`", socket.display()))
    })?;
    response.json().map_err(|error: ResponseError| {
        Failure::environment(&error, "use the program of the agent's version")
            .about("the agent does not list its pods")
    })
}
