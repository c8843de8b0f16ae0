//! A stand-in for the agent's socket that answers with the documented pod's facts from memory.
//!
//! The agent answers from memory too, so only the protocol matters for the cost of an ADD.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use mesh_cni_selector::PodFacts;
use mesh_cni_tests::PRODUCTPAGE;

/// Answers on the agent's socket in that directory until the program ends.
pub(crate) fn listen(run_dir: &Path) {
    fs::create_dir_all(run_dir).expect("the run directory can be created");
    let listener = UnixListener::bind(run_dir.join("agent.sock"));
    let listener = listener.expect("the benchmark can listen in its own directory");
    let facts = PodFacts::from_manifest(PRODUCTPAGE).expect("the manifest is a pod");
    let facts = serde_json::to_string(&facts).expect("facts can be written");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that disconnects early is measured too.
            drop(answer(stream, &facts));
        }
    });
}

/// Facts for a request, and an empty answer for a report.
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
