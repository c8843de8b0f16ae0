//! Namespaces of every kind except user namespaces, in which the programs of a node use their
//! standard paths. Everything is removed afterwards.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use mesh_cni_netns::NetNs;
use nix::unistd::Pid;

use crate::process::{BoundChild, killed_with_parent};
use crate::{Finished, finish};

/// The program of the first process in an isolated host.
const INIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/isolated_host.sh");

/// The namespaces. They and all their processes exist as long as this value.
#[derive(Debug)]
pub struct IsolatedHost {
    init: BoundChild,
    pid: Pid,
    cgroup: String,
}

impl IsolatedHost {
    /// Creates them. `/etc`, `/opt` and `/var/lib` are written to `state`: a second isolated host
    /// with the same `state` is the same machine after a reboot.
    pub fn start(state: &Path) -> Self {
        let cgroup = unique_name();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "--pid", "--ipc", "--uts"])
            .args(["--fork", "--kill-child", "--", INIT])
            .arg(state)
            .arg(&cgroup);
        let mut command = killed_with_parent(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut init = BoundChild::spawn(command);
        let stdout = init.child.stdout.as_mut().expect("stdout is a pipe");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("a pipe can be read");
        // From here on, dropping the value cleans up.
        let pid = init.inner_pid().unwrap_or(init.pid());
        let isolated_host = Self { init, pid, cgroup };
        assert_eq!(line, "ready\n", "{INIT} failed; this test needs root");
        isolated_host
    }

    /// A command that runs in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.pid))
            .args([
                "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup", "--",
            ])
            .arg(program);
        command
    }

    /// Runs a command in it; spaces separate the arguments.
    pub fn run(&self, words: &str) -> Finished {
        let mut words = words.split_whitespace();
        let mut command = self.command(words.next().expect("the command is not empty"));
        finish(command.args(words), "")
    }

    /// As [`IsolatedHost::run`], for a command that must succeed; returns its output.
    pub fn must(&self, words: &str) -> String {
        let finished = self.run(words);
        assert_eq!(finished.code, 0, "{words}: {}", finished.stderr);
        finished.stdout
    }

    /// A path in it, as seen from outside. Absolute symbolic links in it are resolved outside.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// A named network namespace in it; `outside` is another machine on its network.
    pub fn netns(&self, name: &str) -> NetNs {
        let path = self.path(&format!("/run/netns/{name}"));
        NetNs::open(&path).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The network namespace of the host itself.
    pub fn own_netns(&self) -> NetNs {
        let path = PathBuf::from(format!("/proc/{}/ns/net", self.pid));
        NetNs::open(&path).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl IsolatedHost {
    /// Removes the cgroups of all isolated hosts of a process that exited without dropping them.
    pub fn sweep(owner: u32) {
        let prefix = format!("mesh-cni-tests-{owner}-");
        for hierarchy in hierarchies() {
            let entries = fs::read_dir(&hierarchy).into_iter().flatten().flatten();
            let left = entries.filter(|entry| {
                let name = entry.file_name();
                name.to_str().is_some_and(|name| name.starts_with(&prefix))
            });
            left.for_each(|group| remove_groups(&group.path()));
        }
    }
}

impl Drop for IsolatedHost {
    fn drop(&mut self) {
        // The first process exits after its stdin is closed, and waits for the kernel to end all
        // others.
        drop(self.init.child.stdin.take());
        drop(self.init.child.wait());
        for hierarchy in hierarchies() {
            remove_groups(&hierarchy.join(&self.cgroup));
        }
    }
}

/// A name that no other test uses.
pub(crate) fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("mesh-cni-tests-{}-{next}", std::process::id())
}

/// The mount points of cgroups.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let groups = fields.filter(|fields| matches!(fields[..], [_, _, "cgroup" | "cgroup2", ..]));
    groups.map(|fields| PathBuf::from(fields[1])).collect()
}

/// Removes a cgroup and those below it.
fn remove_groups(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    drop(fs::remove_dir(group));
}
