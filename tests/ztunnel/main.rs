//! A substitute for ztunnel: it speaks its workload protocol and relays TCP in the namespaces of pods.
//!
//! As in ztunnel, `INPOD_UDS` is the socket of the node agent, and answers, closed connections and exits
//! are those of ztunnel. What differs: a connection to another ztunnel is not encrypted, and begins with a
//! line that names the destination. `STRICT=true` refuses plaintext, as a policy that names principals does.
//!
//! Each change of a pod is a line on standard output: `served UID`, `stopped UID`, `pending UID: ERROR`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the lines are for the test's log")]

mod agent;
mod pod;
mod relay;
mod resolver;

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use agent::{Connection, Ended, Pods};

/// How soon ztunnel connects again if nothing listens; it doubles the time with each attempt.
const RECONNECT: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let Some(socket) = std::env::var_os("INPOD_UDS") else {
        return ExitCode::from(2);
    };
    let is_strict = std::env::var("STRICT").is_ok_and(|value| value == "true");
    let mut pods = Pods::new(is_strict);
    loop {
        let ended = Connection::open(Path::new(&socket)).map(|connection| pods.follow(&connection));
        match ended {
            Ok(Ended::Process) => return ExitCode::FAILURE,
            Ok(Ended::Connection) => {}
            Err(_not_listening) => thread::sleep(RECONNECT),
        }
    }
}
