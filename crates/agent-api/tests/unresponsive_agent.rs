//! Agents that do not answer: the timeout ends the exchange in each of its steps.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use mesh_cni_agent_api::{Client, HttpError, Response, path};

/// The timeout of the exchange.
const TIMEOUT: Duration = Duration::from_millis(300);

/// How long a test waits for the end of the exchange before it fails.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A listener in a directory of its own, which is removed at the end.
struct Socket(PathBuf);

impl Socket {
    fn bind(test: &str) -> (Self, UnixListener) {
        let directory =
            std::env::temp_dir().join(format!("agent-api-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let listener = UnixListener::bind(directory.join("agent.sock")).unwrap();
        (Self(directory), listener)
    }

    fn path(&self) -> PathBuf {
        self.0.join("agent.sock")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn exchange(socket: &Path) -> Result<Response, HttpError> {
    let mut client = Client::connect(socket, TIMEOUT)?;
    client.get(path::STATUS)?;
    client.receive()
}

/// The error of an exchange with that agent.
fn error(socket: &Socket) -> HttpError {
    let (sender, receiver) = channel();
    let path = socket.path();
    thread::spawn(move || sender.send(exchange(&path)));
    receiver
        .recv_timeout(WATCHDOG)
        .expect("the exchange does not end")
        .unwrap_err()
}

#[test]
fn it_accepts_and_never_answers() {
    let (socket, listener) = Socket::bind("silent");
    let (sender, accepted) = channel();
    thread::spawn(move || sender.send(listener.accept().unwrap()));
    assert!(matches!(error(&socket), HttpError::Timeout));
    accepted.recv().unwrap();
}

#[test]
fn it_accepts_no_connection() {
    let (socket, listener) = Socket::bind("full");
    // The shortest queue.
    rustix::net::listen(&listener, 0).unwrap();
    let _queue = fill(&socket.path());
    assert!(matches!(error(&socket), HttpError::Timeout));
}

/// Connections that fill the listener's queue. The thread that waits for one more ends with the test.
fn fill(socket: &Path) -> Vec<UnixStream> {
    let mut queue = Vec::new();
    loop {
        let (sender, receiver) = channel();
        let path = socket.to_owned();
        thread::spawn(move || sender.send(UnixStream::connect(path)));
        match receiver.recv_timeout(Duration::from_secs(1)) {
            Ok(stream) => queue.push(stream.unwrap()),
            Err(RecvTimeoutError::Timeout) => return queue,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the thread sends a result"),
        }
    }
}

#[test]
fn it_sends_one_byte_at_a_time() {
    let (socket, listener) = Socket::bind("slow");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").unwrap();
        // It ends when the client closes the connection.
        while stream.write_all(b"y").is_ok() {
            thread::sleep(TIMEOUT / 10);
        }
    });
    // Bytes of a header that never ends, each of which arrives within the timeout.
    assert!(matches!(error(&socket), HttpError::Timeout));
}
