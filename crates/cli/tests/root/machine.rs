//! The state of the machine, and the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Tests compare the state of the machine, so they run one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) fn exclusive() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn mesh_cnictl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-cnictl"));
    command.args(arguments);
    command
}

/// Copies a program that is run afterwards. Another process copies it: a child of another test would
/// inherit the file that this one writes, and the kernel runs no program that is open for writing
/// (`ETXTBSY`).
pub(crate) fn copy_program(from: &Path, to: &Path) {
    assert!(output(Command::new("cp").args([from, to])).status.success());
}

pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Everything that a demo could leave behind: links, named namespaces, files, processes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    links: BTreeSet<String>,
    files: BTreeSet<String>,
    processes: BTreeSet<u32>,
}

impl Traces {
    pub(crate) fn now() -> Self {
        let directories = ["/run/netns", "/run/mesh-cni", "/dev/shm", "/var/lib/cni"];
        let files = directories.iter().flat_map(|directory| {
            let names = names(Path::new(directory)).into_iter();
            names.map(move |name| format!("{directory}/{name}"))
        });
        // Plugins and agents that run at the same time have files there too.
        let of_others = |file: &String| {
            let name = file.strip_prefix("/run/mesh-cni/");
            name.is_some_and(|name| !name.starts_with("demo"))
        };
        Self {
            links: names(Path::new("/sys/class/net")),
            files: files.filter(|file| !of_others(file)).collect(),
            processes: demo_processes(),
        }
    }

    /// Waits until the demo's processes have exited, and compares.
    pub(crate) fn assert_restored(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        for pid in demo_processes().difference(&self.processes) {
            wait_for_exit(*pid, deadline);
        }
        assert_eq!(*self, Self::now());
    }
}

fn wait_for_exit(pid: u32, deadline: Instant) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    // Readable when the process has exited.
    let mut watched = [PollFd::new(&process, PollFlags::IN)];
    let left = deadline.saturating_duration_since(Instant::now());
    poll(&mut watched, Some(&left.try_into().unwrap())).unwrap();
}

/// The processes of all demos.
pub(crate) fn demo_processes() -> BTreeSet<u32> {
    names(Path::new("/proc"))
        .into_iter()
        .filter_map(|name| name.parse().ok())
        .filter(|pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"demo-process")
        })
        .collect()
}

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
