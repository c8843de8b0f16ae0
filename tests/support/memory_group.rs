//! A control group that limits the memory of one program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::isolated_host::{hierarchies, unique_name};
use crate::process::run_by;

/// The names of a group's files, which differ between versions 1 and 2 of control groups.
#[derive(Debug)]
struct Files {
    limit: &'static str,
    current: &'static str,
    peak: &'static str,
    events: &'static str,
}

const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    current: "memory.usage_in_bytes",
    peak: "memory.max_usage_in_bytes",
    events: "memory.oom_control",
};

const VERSION_2: Files = Files {
    limit: "memory.max",
    current: "memory.current",
    peak: "memory.peak",
    events: "memory.events",
};

/// The group. The kernel kills a process in it that needs more memory than the limit.
#[derive(Debug)]
pub struct MemoryGroup {
    path: PathBuf,
    files: Files,
}

impl MemoryGroup {
    /// Creates a group with this limit in bytes. It needs root.
    pub fn new(limit: u64) -> Self {
        let (parent, files) = memory_controller();
        let group = Self {
            path: parent.join(unique_name()),
            files,
        };
        create(&group.path);
        group.write(group.files.limit, &limit.to_string());
        let swap = "memory.swap.max";
        if group.path.join(swap).exists() {
            group.write(swap, "0");
        }
        group
    }

    /// A command that starts the given one in the group.
    pub fn command(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", r#"echo $$ > "$0" && exec "$@""#])
            .arg(self.path.join("cgroup.procs"));
        run_by(shell, command)
    }

    /// What its processes and their files in the page cache take now, in KiB.
    pub fn current_kib(&self) -> u64 {
        self.kib(self.files.current)
    }

    /// The most that they took, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.kib(self.files.peak)
    }

    /// How many of its processes the kernel killed because of the limit.
    pub fn killed(&self) -> u64 {
        let events = self.read(self.files.events);
        let count = events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "));
        count
            .and_then(|count| count.trim().parse().ok())
            .expect("the kernel counts processes that it kills")
    }

    fn kib(&self, file: &str) -> u64 {
        let bytes = self.read(file).trim().parse::<u64>();
        bytes.expect("the kernel reports memory in bytes") / 1024
    }

    fn read(&self, file: &str) -> String {
        let path = self.path.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path.join(file);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.path));
    }
}

/// The directory below which groups with limits can be created, and the names of their files.
fn memory_controller() -> (PathBuf, Files) {
    for directory in hierarchies() {
        if directory.join(VERSION_1.limit).exists() {
            return (directory, VERSION_1);
        }
        let controllers = fs::read_to_string(directory.join("cgroup.controllers"));
        if controllers.is_ok_and(|names| names.split_whitespace().any(|name| name == "memory")) {
            let control = directory.join("cgroup.subtree_control");
            fs::write(&control, "+memory")
                .unwrap_or_else(|error| panic!("{}: {error}", control.display()));
            return (directory, VERSION_2);
        }
    }
    panic!("no hierarchy of control groups limits memory");
}

fn create(path: &Path) {
    fs::create_dir(path)
        .unwrap_or_else(|error| panic!("{}: {error}; this needs root", path.display()));
}
