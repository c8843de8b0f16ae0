//! An agent that plays a script: it listens where the node's agent would, gives the answers that it
//! was given, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(30);

/// One request: its first line, and its body.
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) body: String,
}

/// The agent; it ends with the test's process.
pub(crate) struct PlayedAgent {
    asked: Receiver<Asked>,
}

impl PlayedAgent {
    /// Listens in that run directory and answers every question with these bytes. Reports are taken
    /// and never answered.
    pub(crate) fn new(run_dir: &Path, answer: &str) -> Self {
        std::fs::create_dir_all(run_dir).unwrap();
        let listener = UnixListener::bind(run_dir.join("agent.sock")).unwrap();
        let (sender, asked) = channel();
        let answer = answer.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, answer) = (sender.clone(), answer.clone());
                thread::spawn(move || serve(stream, &sender, &answer));
            }
        });
        Self { asked }
    }

    /// The next request.
    pub(crate) fn asked(&self) -> Asked {
        self.asked
            .recv_timeout(DEADLINE)
            .expect("nothing was asked")
    }
}

/// A whole answer of that status.
pub(crate) fn answer(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn serve(mut stream: UnixStream, sender: &Sender<Asked>, answer: &str) {
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
    // The test may be over.
    drop(sender.send(Asked { line, body }));
    if !is_report {
        // A plugin that has read enough may be gone.
        drop(stream.write_all(answer.as_bytes()));
    }
}
