//! The agent as a process: what it prints, and what it answers on its socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running agent with a directory of its own.
pub(crate) struct Agent {
    child: Child,
    lines: Mutex<Receiver<String>>,
    /// What was printed and passed over by an earlier wait.
    passed: Mutex<Vec<String>>,
    directory: TempDir,
}

/// An answer of the agent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Agent {
    /// Starts it with these flags, its API server reached by a kubeconfig that `prepare` writes.
    pub(crate) fn start(flags: &[&str], prepare: impl FnOnce(&Path) -> PathBuf) -> Self {
        let directory = TempDir::new().unwrap();
        let kubeconfig = prepare(directory.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"));
        command
            .env_clear()
            .args(["run", "--node-name", "node-1"])
            .args(["--metrics-addr", "off"])
            .arg("--api-kubeconfig")
            .arg(kubeconfig)
            .arg("--cni-agent-run-dir")
            .arg(directory.path().join("run"))
            .args(flags)
            .stdout(Stdio::piped());
        if !flags.contains(&"--health-addr") {
            command.args(["--health-addr", "off"]);
        }
        if !flags.contains(&"--plugin-binary") {
            command.args(["--install", "false"]);
        }
        let mut child = command.spawn().unwrap();
        let lines = follow(BufReader::new(child.stdout.take().unwrap()));
        let agent = Self {
            child,
            lines: Mutex::new(lines),
            passed: Mutex::default(),
            directory,
        };
        agent.said("the agent runs");
        agent
    }

    /// Starts it on a node that `prepare` makes in its directory, without an API server.
    pub(crate) fn start_on_node(prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        Self::start_in(TempDir::new().unwrap(), prepare)
    }

    /// Starts it in that directory, without an API server.
    pub(crate) fn start_in(directory: TempDir, prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let flags = prepare(directory.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"));
        command
            .env_clear()
            .args(["run", "--node-name", "node-1"])
            .args(["--health-addr", "off", "--metrics-addr", "off"])
            .arg("--cni-agent-run-dir")
            .arg(directory.path().join("run"))
            .args(flags)
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = follow(BufReader::new(child.stdout.take().unwrap()));
        let agent = Self {
            child,
            lines: Mutex::new(lines),
            passed: Mutex::default(),
            directory,
        };
        agent.said("the agent runs");
        agent
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until it prints a line with that text.
    pub(crate) fn said(&self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        let lines = self.lines.lock().unwrap();
        let mut before = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => {
                    self.passed.lock().unwrap().push(line.clone());
                    before.push(line);
                }
                Err(error) => panic!(
                    "{error}: the agent did not say `{text}`, but:\n{}",
                    before.join("\n")
                ),
            }
        }
    }

    /// The same, where it may have been printed before something else that was waited for.
    pub(crate) fn ever_said(&self, text: &str) -> String {
        let passed = self.passed.lock().unwrap().clone();
        let said = passed.into_iter().find(|line| line.contains(text));
        said.unwrap_or_else(|| self.said(text))
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.run_dir().join("agent.sock")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks for that path.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n"
        ))
    }

    /// Sends that to that path.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Sends a request as it is, and reads to the end.
    pub(crate) fn ask(&self, request: &str) -> Answer {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        // It may answer and close before everything is sent.
        drop(stream.write_all(request.as_bytes()));
        let text = read_to_end(&mut stream);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer {
            code: code.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> (ExitStatus, TempDir) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let directory = std::mem::replace(&mut self.directory, TempDir::new().unwrap());
        (status, directory)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads to the end, which is a reset where the agent did not read everything.
fn read_to_end(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("no answer: {error}"),
        _ => String::from_utf8(bytes).unwrap(),
    }
}

fn follow(output: impl BufRead + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
