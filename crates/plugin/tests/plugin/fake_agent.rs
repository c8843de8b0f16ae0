//! A fake agent: it listens on the agent's socket, returns a fixed response and records the requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(30);

/// One request: its first line, and its body.
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) body: String,
}

/// The agent. Its threads end with the test's process.
pub(crate) struct FakeAgent {
    requests: Receiver<Request>,
}

impl FakeAgent {
    /// Listens in that run directory and sends these bytes after every request, except to reports,
    /// which it reads and does not answer.
    pub(crate) fn new(run_dir: &Path, response: &str) -> Self {
        std::fs::create_dir_all(run_dir).unwrap();
        let listener = UnixListener::bind(run_dir.join("agent.sock")).unwrap();
        let (sender, requests) = channel();
        let response = response.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, response) = (sender.clone(), response.clone());
                thread::spawn(move || serve(stream, &sender, &response));
            }
        });
        Self { requests }
    }

    /// The next request.
    pub(crate) fn request(&self) -> Request {
        self.requests
            .recv_timeout(DEADLINE)
            .expect("no request arrived")
    }
}

/// A complete response.
pub(crate) fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn serve(mut stream: UnixStream, sender: &Sender<Request>, response: &str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let mut length = 0;
    loop {
        let mut header = String::new();
        lines.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    let is_report = line.starts_with("POST /v1/reports");
    let body = String::from_utf8(body).unwrap();
    // The test may have ended.
    drop(sender.send(Request { line, body }));
    if !is_report {
        // The plugin may have exited.
        drop(stream.write_all(response.as_bytes()));
    }
}
