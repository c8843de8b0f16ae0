//! A running agent: the lines that it prints, and its responses on the socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The time limit of every wait; long, for busy machines.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running agent with its own directory.
pub(crate) struct Agent {
    child: Child,
    lines: Mutex<Receiver<String>>,
    /// Lines that an earlier wait skipped.
    skipped: Mutex<Vec<String>>,
    directory: TempDir,
}

/// A response of the agent.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Agent {
    /// Starts it with these flags and the kubeconfig that `prepare` writes.
    pub(crate) fn start(flags: &[&str], prepare: impl FnOnce(&Path) -> PathBuf) -> Self {
        Self::start_on_node(|directory| {
            let kubeconfig = prepare(directory).display().to_string();
            let mut all = vec!["--api-kubeconfig".to_owned(), kubeconfig];
            all.extend(flags.iter().map(|flag| (*flag).to_owned()));
            if !flags.contains(&"--plugin-binary") {
                all.extend(["--install", "false"].map(str::to_owned));
            }
            all
        })
    }

    /// Starts it in a new directory with the flags that `prepare` returns.
    pub(crate) fn start_on_node(prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        Self::start_in(TempDir::new().unwrap(), prepare)
    }

    /// The same in an existing directory.
    pub(crate) fn start_in(directory: TempDir, prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let flags = prepare(directory.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"));
        command
            .env_clear()
            .args(["run", "--node-name", "node-1", "--metrics-addr", "off"])
            .arg("--cni-agent-run-dir")
            .arg(directory.path().join("run"))
            .args(&flags)
            .stdout(Stdio::piped());
        if !flags.iter().any(|flag| flag == "--health-addr") {
            command.args(["--health-addr", "off"]);
        }
        let mut child = command.spawn().unwrap();
        let lines = follow(BufReader::new(child.stdout.take().unwrap()));
        let agent = Self {
            child,
            lines: Mutex::new(lines),
            skipped: Mutex::default(),
            directory,
        };
        agent.wait_for_line("agent started");
        agent
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until it prints a line with that text.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        let lines = self.lines.lock().unwrap();
        let mut before = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => {
                    self.skipped.lock().unwrap().push(line.clone());
                    before.push(line);
                }
                Err(error) => panic!(
                    "{error}: the agent did not print `{text}`, but:\n{}",
                    before.join("\n")
                ),
            }
        }
    }

    /// The same, also for a line that an earlier wait skipped.
    pub(crate) fn wait_for_any_line(&self, text: &str) -> String {
        let skipped = self.skipped.lock().unwrap().clone();
        let line = skipped.into_iter().find(|line| line.contains(text));
        line.unwrap_or_else(|| self.wait_for_line(text))
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

    /// The address of the port of that name, once the agent listens on it.
    pub(crate) fn port(&self, name: &str) -> SocketAddr {
        let suffix = format!(" listener=\"{name}\"");
        let line = self.wait_for_any_line(&suffix);
        let (_, address) = line.split_once("listening address=").unwrap();
        address.split(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until it has ended, and returns its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the agent does not end");
    }

    /// Requests that path.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.request(&format!(
            "GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n"
        ))
    }

    /// Posts that body to that path.
    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        self.request(&format!(
            "POST {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Sends a request as it is, and reads the response.
    pub(crate) fn request(&self, request: &str) -> Response {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        // The agent may respond and close before everything is sent.
        drop(stream.write_all(request.as_bytes()));
        Response::read(&mut stream)
    }

    /// Sends SIGTERM and waits until it exits.
    pub(crate) fn terminate(mut self) -> (ExitStatus, TempDir) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let directory = std::mem::replace(&mut self.directory, TempDir::new().unwrap());
        (status, directory)
    }
}

impl Response {
    /// Reads a response to its end.
    pub(crate) fn read(stream: &mut impl Read) -> Self {
        let text = read_to_end(stream);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            code: code.unwrap_or_else(|| panic!("no response: {text:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads to the end, which is a reset if the agent did not read the whole request.
fn read_to_end(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("no response: {error}"),
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
