//! The child that enters a user namespace: its deadline, and who can read its memory.
#![cfg(feature = "root-tests")]

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::thread;

use super::*;
use crate::netns::NetNs;

/// A process in a user namespace and a network namespace of its own, which ends with its input.
struct Sandbox(Child);

impl Sandbox {
    fn start() -> Self {
        let mut child = Command::new("unshare")
            .args(["--user", "--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{}/{map}", child.id()), "0 100000 65536").unwrap();
        }
        Self(child)
    }

    fn user_ns(&self) -> UserNs {
        let path = format!("/proc/{}/ns/net", self.0.id());
        let netns = NetNs::open(path.as_ref()).unwrap();
        UserNs::owning(netns.file()).unwrap().unwrap()
    }

    fn id(&self) -> (u64, u64) {
        id_of(self.0.id()).unwrap()
    }

    /// Reads the memory map of a process as root of the user namespace.
    fn can_read_memory_of(&self, process: u32) -> bool {
        Command::new("nsenter")
            .args(["--user", "--target", &self.0.id().to_string()])
            .args(["cat", &format!("/proc/{process}/maps")])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _status = self.0.wait();
    }
}

fn id_of(process: u32) -> Option<(u64, u64)> {
    let metadata = fs::metadata(format!("/proc/{process}/ns/user")).ok()?;
    Some(id(&metadata))
}

/// A socket on which the next datagram blocks, and its peer.
fn full_socket() -> (UnixDatagram, UnixDatagram) {
    let (socket, peer) = UnixDatagram::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    while socket.send(b"full").is_ok() {}
    socket.set_nonblocking(false).unwrap();
    (socket, peer)
}

#[test]
fn a_child_that_blocks_is_not_readable_and_is_killed_at_the_deadline() {
    let sandbox = Sandbox::start();
    let user_ns = sandbox.user_ns();
    let (socket, _peer) = full_socket();
    thread::scope(|scope| {
        let start = Instant::now();
        let sending = scope
            .spawn(|| user_ns.send_within(socket.as_fd(), b"one more", Duration::from_secs(3)));
        let entered = || {
            let processes = fs::read_dir("/proc").unwrap().flatten();
            let mut pids = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
            pids.find(|pid| *pid != sandbox.0.id() && id_of(*pid) == Some(sandbox.id()))
        };
        let child = loop {
            if let Some(child) = entered() {
                break child;
            }
            assert!(!sending.is_finished(), "the child never entered");
        };
        assert!(sandbox.can_read_memory_of(sandbox.0.id()));
        assert!(!sandbox.can_read_memory_of(child));
        assert!(!sending.is_finished());
        let error = sending.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(start.elapsed() < Duration::from_secs(30));
        assert_eq!(id_of(child), None, "the child has ended");
    });
}

#[test]
fn a_datagram_is_sent_from_inside() {
    let sandbox = Sandbox::start();
    let (socket, peer) = UnixDatagram::pair().unwrap();
    sandbox.user_ns().send(socket.as_fd(), b"rules").unwrap();
    let mut buffer = [0; 8];
    assert_eq!(peer.recv(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"rules");
}

#[test]
fn owners_are_compared_with_the_callers_user_namespace() {
    let sandbox = Sandbox::start();
    let owner = |process: u32| {
        let netns = NetNs::open(format!("/proc/{process}/ns/net").as_ref()).unwrap();
        Owner::of(netns.file()).unwrap()
    };
    assert_eq!(owner(std::process::id()), Owner::Same);
    assert_eq!(
        Owner::of(NetNs::scratch().unwrap().file()).unwrap(),
        Owner::Same
    );
    assert_eq!(owner(sandbox.0.id()), Owner::Child);
}
