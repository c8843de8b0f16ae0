//! A machine within the machine: namespaces of every kind but the user's, in which a node's programs
//! find their standard paths, and of which nothing stays.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use mesh_cni_netns::NetNs;
use nix::unistd::Pid;

use crate::process::{Bound, bound_to_us};
use crate::{Finished, finish};

/// What the first process of an enclosure runs.
const INIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/enclosure.sh");

/// The namespaces, as long as this value lives; every process in them ends with it.
#[derive(Debug)]
pub struct Enclosure {
    init: Bound,
    pid: Pid,
    cgroup: String,
}

impl Enclosure {
    /// Makes them. What is written below `/etc`, `/opt` and `/var/lib` lies in `state`: a second
    /// enclosure with the same one is the same machine after a reboot.
    pub fn start(state: &Path) -> Self {
        let cgroup = unique_name();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "--pid", "--ipc", "--uts"])
            .args(["--fork", "--kill-child", "--", INIT])
            .arg(state)
            .arg(&cgroup);
        let mut command = bound_to_us(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut init = Bound::spawn(command);
        let stdout = init.child.stdout.as_mut().expect("stdout is a pipe");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("a pipe can be read");
        // From here on its end cleans up.
        let pid = init.inner_pid().unwrap_or(init.pid());
        let enclosure = Self { init, pid, cgroup };
        assert_eq!(line, "ready\n", "{INIT} failed; this test needs root");
        enclosure
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

    /// Runs a command in it, words separated by blanks.
    pub fn run(&self, words: &str) -> Finished {
        let mut words = words.split_whitespace();
        let mut command = self.command(words.next().expect("a program is named"));
        finish(command.args(words), "")
    }

    /// Runs a command in it that must succeed, and gives back its output.
    pub fn must(&self, words: &str) -> String {
        let finished = self.run(words);
        assert_eq!(finished.code, 0, "{words}: {}", finished.stderr);
        finished.stdout
    }

    /// A path of it, as seen from outside. Links in it that start at the root lead outside.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// A network namespace that has a name in it; `outside` is a machine beside it.
    pub fn netns(&self, name: &str) -> NetNs {
        let path = self.path(&format!("/run/netns/{name}"));
        NetNs::open(&path).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Its own network namespace.
    pub fn own_netns(&self) -> NetNs {
        let path = PathBuf::from(format!("/proc/{}/ns/net", self.pid));
        NetNs::open(&path).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Enclosure {
    /// Removes the control groups of all enclosures of a process that ended without dropping them.
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

impl Drop for Enclosure {
    fn drop(&mut self) {
        // Its first process lives until this end of its input is closed, and then waits for the
        // kernel to have ended all the others.
        drop(self.init.child.stdin.take());
        drop(self.init.child.wait());
        for hierarchy in hierarchies() {
            remove_groups(&hierarchy.join(&self.cgroup));
        }
    }
}

fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("mesh-cni-tests-{}-{next}", std::process::id())
}

/// Where control groups are mounted.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let groups = fields.filter(|fields| matches!(fields[..], [_, _, "cgroup" | "cgroup2", ..]));
    groups.map(|fields| PathBuf::from(fields[1])).collect()
}

/// Removes a control group and those below it; their files go with them.
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
