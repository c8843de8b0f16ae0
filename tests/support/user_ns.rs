//! A pod with its own users (`hostUsers: false`): a user namespace and a network namespace owned by
//! it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use mesh_cni_netns::NetNs;

use crate::Sender;

/// A process in its own namespaces, which exist as long as this value.
#[derive(Debug)]
pub struct UserNs {
    process: Child,
    /// Open as long as the process: a `cat` that calls `sendfile` ends when nothing can read its output.
    _stdout: BufReader<ChildStdout>,
}

impl UserNs {
    /// The id of the pod's user 0 on the node.
    pub const FIRST: u32 = 100_000;

    /// Creates the namespaces. The pod has the users 0 to 65535.
    pub fn new() -> Self {
        let mut process = Command::new("unshare")
            .args(["--user", "--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is installed: run `make test`");
        let stdout = process.stdout.take().expect("stdout is a pipe");
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        assert_eq!((read.ok(), line.as_str()), (Some(6), "ready\n"));
        let user_ns = Self {
            process,
            _stdout: stdout,
        };
        for map in ["uid_map", "gid_map"] {
            let path = format!("/proc/{}/{map}", user_ns.process.id());
            fs::write(path, format!("0 {} 65536", Self::FIRST))
                .expect("this test needs root: run `make test`");
        }
        user_ns
    }

    /// The network namespace.
    pub fn netns(&self) -> NetNs {
        let path = PathBuf::from(format!("/proc/{}/ns/net", self.process.id()));
        NetNs::open(&path).expect("a process has a network namespace")
    }

    /// A command that runs the program in its arguments as a user of the pod, in its namespaces.
    pub fn command(&self, sender: Sender) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.process.id().to_string()])
            .args(["--user", "--net", "--setuid", &sender.user.to_string()])
            .args(["--setgid", &sender.group.to_string(), "--"]);
        command
    }
}

impl Default for UserNs {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for UserNs {
    /// The process exits after its stdin is closed.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _status = self.process.wait();
    }
}
