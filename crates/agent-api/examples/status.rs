//! Prints the state of this node.
//!
//! `cargo run --example status -- /run/mesh-cni/agent.sock`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use mesh_cni_agent_api::{AgentStatus, Client, path};

fn main() -> Result<(), Box<dyn Error>> {
    let socket = PathBuf::from(std::env::args().nth(1).ok_or("usage: status SOCKET")?);
    let mut client = Client::connect(&socket, Duration::from_secs(2))?;
    client.get(path::STATUS)?;
    let status: AgentStatus = client.receive()?.json()?;
    println!("{}: {}", status.state.as_str(), status.why);
    Ok(())
}
