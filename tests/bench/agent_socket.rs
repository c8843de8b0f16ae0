//! The agent's end of its socket: the documented pod's facts, as the agent tells them, out of memory.
//!
//! The agent itself answers from its watch, so from memory too; no part of it but the protocol is
//! needed to know what an ADD costs that asks it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use mesh_cni_selector::PodFacts;
use mesh_cni_tests::PRODUCTPAGE;

/// Answers on `agent.sock` in that directory until the program ends.
pub(crate) fn listen(run_dir: &Path) {
    fs::create_dir_all(run_dir).expect("the run directory can be made");
    let listener = UnixListener::bind(run_dir.join("agent.sock"));
    let listener = listener.expect("the benchmark can listen in its own directory");
    let facts = PodFacts::from_manifest(PRODUCTPAGE).expect("the manifest is a pod");
    let facts = serde_json::to_string(&facts).expect("facts can be written");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who goes away early is measured all the same.
            drop(answer(stream, &facts));
        }
    });
}

/// Facts for who asks, and nothing more to hear for who reports.
fn answer(mut stream: UnixStream, facts: &str) -> io::Result<()> {
    let mut request = [0; 16 * 1024];
    let size = stream.read(&mut request)?;
    let (status, body) = if request[..size].starts_with(b"GET ") {
        ("200 OK", facts)
    } else {
        ("204 No Content", "")
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes())
}
