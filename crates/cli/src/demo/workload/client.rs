//! The client: sends one request and prints the answer. It ends with the demo even without answer.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;

use super::http::get;
use crate::console::Console;
use crate::failure::{Exit, Failure};

/// Sends the request, and prints the answer as JSON.
pub(super) fn request(
    to: SocketAddr,
    path: &str,
    console: &mut Console<'_>,
) -> Result<Exit, Failure> {
    let (answered, first) = channel();
    let (ended, path) = (answered.clone(), path.to_owned());
    thread::spawn(move || answered.send(Some(get(to, &path))));
    thread::spawn(move || {
        let mut nothing = Vec::new();
        // When stdin closes, the demo has ended.
        let _read = io::stdin().read_to_end(&mut nothing);
        ended.send(None)
    });
    let answer = match first.recv() {
        Ok(Some(answer)) => answer.map_err(Failure::environment)?,
        Ok(None) | Err(_) => return Err(Failure::environment("the demo has ended")),
    };
    let text = serde_json::to_string(&answer).expect("texts and numbers are always JSON");
    console.line(text)?;
    Ok(Exit::Done)
}
