//! The client: one request, the answer on stdout.

use std::net::SocketAddr;

use super::http::get;
use crate::console::Console;
use crate::failure::{Exit, Failure};

/// Asks and prints the answer as JSON.
pub(super) fn ask(to: SocketAddr, path: &str, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let answer = get(to, path).map_err(Failure::environment)?;
    let text = serde_json::to_string(&answer).expect("texts and numbers are always JSON");
    console.line(text)?;
    Ok(Exit::Done)
}
