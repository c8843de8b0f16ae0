//! The socket is removed or replaced while the agent runs, or another agent hangs when one starts.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::agent::{Agent, DEADLINE, Response};
use crate::api_server::{ApiServer, Fault};

/// Flags of an agent that needs no API server.
fn flags(_: &Path) -> Vec<String> {
    ["--install", "false", "--pod-source", "runtime"]
        .map(str::to_owned)
        .into()
}

/// A directory with the run directory.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("run")).unwrap();
    directory
}

/// Waits until the socket at the path is the agent's, with its mode.
fn wait_for_socket(agent: &Agent) {
    let end = Instant::now() + DEADLINE;
    while !is_healthy(agent) {
        assert!(Instant::now() < end, "the socket is not created again");
        thread::sleep(Duration::from_millis(100));
    }
}

fn is_healthy(agent: &Agent) -> bool {
    let mode = fs::symlink_metadata(agent.socket()).map(|found| found.mode() & 0o7777);
    if !mode.is_ok_and(|mode| mode == 0o600) {
        return false;
    }
    let Ok(mut stream) = UnixStream::connect(agent.socket()) else {
        return false;
    };
    stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let request = "GET /readyz/socket HTTP/1.1\r\nhost: agent\r\n\r\n";
    let mut start = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut start).is_ok()
        && start == *b"HTTP/1.1 200"
}

fn probe(run_dir: &Path, state: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"))
        .env_clear()
        .args(["status", "--probe", state, "--run-dir"])
        .arg(run_dir)
        .output()
        .unwrap()
}

#[test]
fn a_socket_that_is_removed_or_replaced_is_created_again() {
    let agent = Agent::start_on_node(flags);
    let socket = agent.socket();
    let run_dir = agent.run_dir();
    let mut others = Vec::new();
    let removals: [(&str, &mut dyn FnMut()); 5] = [
        ("it was removed", &mut || fs::remove_file(&socket).unwrap()),
        ("another file replaced it", &mut || {
            fs::remove_file(&socket).unwrap();
            others.push(UnixListener::bind(&socket).unwrap());
        }),
        ("its mode was changed", &mut || {
            fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
        }),
        ("its lock was removed", &mut || {
            fs::remove_file(run_dir.join("agent.lock")).unwrap();
        }),
        ("its lock was removed", &mut || {
            fs::remove_dir_all(&run_dir).unwrap();
        }),
    ];
    for (why, remove) in removals {
        remove();
        agent.wait_for_line(&format!("{why}; it is created again"));
        wait_for_socket(&agent);
        assert_eq!(agent.get("/healthz").code, 200, "{why}");
    }
    assert!(run_dir.join("agent.lock").exists());
}

#[test]
fn a_file_that_is_not_a_socket_makes_the_agent_unready_until_it_is_removed() {
    let agent = Agent::start_on_node(|directory| {
        let mut flags = flags(directory);
        flags.extend(["--health-addr", "127.0.0.1:0"].map(str::to_owned));
        flags
    });
    let address = agent.port("health");
    let ready = || {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /readyz HTTP/1.1\r\nhost: node\r\n\r\n").unwrap();
        Response::read(&mut stream)
    };
    assert_eq!(ready().code, 200);
    fs::remove_file(agent.socket()).unwrap();
    fs::write(agent.socket(), "").unwrap();
    agent.wait_for_line("another file replaced it");
    let answer = ready();
    assert_eq!(answer.code, 503, "{answer:?}");
    assert!(
        answer.body.contains("it exists and is not a socket"),
        "{answer:?}"
    );
    fs::remove_file(agent.socket()).unwrap();
    wait_for_socket(&agent);
    assert_eq!(ready().code, 200);
}

#[test]
fn an_agent_starts_beside_a_socket_that_never_answers() {
    for backlog in [0, 300] {
        let directory = directory();
        let socket = directory.path().join("run/agent.sock");
        let _other = UnixListener::bind(&socket).unwrap();
        // Connections that fill the queue; without more space, connecting waits.
        let mut waiting = Vec::new();
        for _ in 0..backlog {
            let socket = socket.clone();
            waiting.push(thread::spawn(move || UnixStream::connect(socket)));
        }
        let agent = Agent::start_in(directory, flags);
        wait_for_socket(&agent);
    }
}

#[test]
fn an_agent_takes_over_from_a_process_that_holds_the_lock_and_does_not_answer() {
    let directory = directory();
    let run = directory.path().join("run");
    let lock = File::create(run.join("agent.lock")).unwrap();
    lock.try_lock().unwrap();
    let _other = UnixListener::bind(run.join("agent.sock")).unwrap();
    let agent = Agent::start_in(directory, flags);
    agent.wait_for_any_line("the agent that holds its lock does not answer");
    wait_for_socket(&agent);
}

#[test]
fn a_hanging_agent_is_replaced_and_ends_when_it_continues() {
    let first = Agent::start_on_node(flags);
    signal(&first, "STOP");
    let run_dir = first.run_dir().display().to_string();
    let second = Agent::start_on_node(|directory| {
        let mut flags = flags(directory);
        flags.extend(["--run-dir".to_owned(), run_dir.clone()]);
        flags
    });
    assert_eq!(first.get("/healthz").code, 200, "the second answers");
    signal(&first, "CONT");
    assert_eq!(first.wait(), Some(3));
    thread::sleep(Duration::from_secs(3));
    assert_eq!(probe(Path::new(&run_dir), "live").status.code(), Some(0));
    drop(second);
}

fn signal(agent: &Agent, name: &str) {
    let pid = agent.pid().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_new_agent_waits_for_the_end_of_the_old_one() {
    let old = Agent::start_on_node(flags);
    let run_dir = old.run_dir().display().to_string();
    let end = thread::spawn(move || {
        thread::sleep(Duration::from_secs(2));
        old.terminate()
    });
    let new = Agent::start_on_node(|directory| {
        let mut flags = flags(directory);
        flags.extend(["--run-dir".to_owned(), run_dir.clone()]);
        flags
    });
    new.wait_for_any_line("waiting for another agent to end");
    let (status, _directory) = end.join().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(probe(Path::new(&run_dir), "ready").status.code(), Some(0));
}

#[test]
fn probes_report_the_state_of_the_agent() {
    let server = ApiServer::new([]);
    for _ in 0..50 {
        server.fail("/api/v1/pods", Fault::Status(403));
    }
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_line("answered 403");
    assert_eq!(probe(&agent.run_dir(), "live").status.code(), Some(0));
    let ready = probe(&agent.run_dir(), "ready");
    assert_eq!(ready.status.code(), Some(1));
    let why = String::from_utf8(ready.stderr).unwrap();
    assert!(
        why.contains("[-] watch: the pods of this node are not known yet"),
        "{why}"
    );

    signal(&agent, "STOP");
    let hanging = probe(&agent.run_dir(), "live");
    assert_eq!(hanging.status.code(), Some(1));
    let why = String::from_utf8(hanging.stderr).unwrap();
    assert!(why.contains("no response in time"), "{why}");
    signal(&agent, "CONT");
    let (_, directory) = agent.terminate();
    let gone = probe(&directory.path().join("run"), "live");
    assert_eq!(gone.status.code(), Some(1));
    let why = String::from_utf8(gone.stderr).unwrap();
    assert!(why.contains("no agent answers on "), "{why}");
}
