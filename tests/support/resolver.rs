//! A resolver that runs as a given user, and queries to it.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mesh_cni_netns::NetNs;
use tempfile::TempDir;

use crate::{Sender, copy_program, run, udp_echo};

/// A process that answers datagrams on a port of a namespace; dropping the value stops it.
#[derive(Debug)]
pub struct Resolver {
    process: Child,
    _program: TempDir,
}

impl Resolver {
    /// Starts one on an address; it answers every query with `words`.
    ///
    /// A proxy's resolver must listen on 127.0.0.1, to which queries are redirected. Answers from
    /// another address would not match the connection.
    pub fn start(netns: &NetNs, owner: Sender, address: (Ipv4Addr, u16), words: &str) -> Self {
        let program = executable_by_all(&udp_echo());
        let mut command = Command::new(program.path().join("resolver"));
        command
            .args([&format!("{}:{}", address.0, address.1), words])
            .uid(owner.user)
            .gid(owner.group)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let started = netns
            .run(|| command.spawn())
            .expect("the namespace can be entered");
        let mut process = started.expect("the resolver starts");
        let stdout = process.stdout.as_mut().expect("stdout is a pipe");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the resolver reports that it listens");
        assert_eq!(
            line, "ready\n",
            "{address:?} is taken, or not for user {}",
            owner.user
        );
        Self {
            process,
            _program: program,
        }
    }

    /// Queries a server from a namespace; `None` if there is no answer.
    pub fn ask(from: &NetNs, sender: Sender, server: (Ipv4Addr, u16)) -> Option<String> {
        let script = "exec 3<>\"/dev/udp/$0/$1\" && echo query >&3 && \
            timeout 5 dd bs=64 count=1 status=none <&3";
        let mut command = Command::new("bash");
        command
            .args(["-c", script, &server.0.to_string(), &server.1.to_string()])
            .uid(sender.user)
            .gid(sender.group);
        let finished = run(from, &mut command, "");
        (!finished.stdout.is_empty()).then_some(finished.stdout)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A copy that every user can run, since other users may not have access to the build directory.
fn executable_by_all(program: &Path) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let open = Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), open).expect("it is ours");
    copy_program(program, &directory.path().join("resolver"));
    directory
}
