//! The machine as the tests find it, and the program run on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Demos share one machine, whose traces are compared.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn mesh_cnictl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-cnictl"));
    command.args(arguments);
    command
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

/// Everything a demo could leave: links, named namespaces, files, processes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    links: BTreeSet<String>,
    files: BTreeSet<String>,
    actors: BTreeSet<u32>,
}

impl Traces {
    pub(crate) fn now() -> Self {
        let folders = ["/run/netns", "/run/mesh-cni", "/dev/shm", "/var/lib/cni"];
        Self {
            links: names(Path::new("/sys/class/net")),
            files: folders
                .iter()
                .flat_map(|folder| {
                    let names = names(Path::new(folder)).into_iter();
                    names.map(move |name| format!("{folder}/{name}"))
                })
                .collect(),
            actors: actors(),
        }
    }

    /// Waits until the machine is as it was: processes that lost their demo end by themselves.
    pub(crate) fn assert_restored(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while *self != Self::now() && Instant::now() < deadline {
            thread::yield_now();
        }
        assert_eq!(*self, Self::now());
    }
}

/// The processes of any demo.
pub(crate) fn actors() -> BTreeSet<u32> {
    let numbers = names(Path::new("/proc"))
        .into_iter()
        .filter_map(|name| name.parse().ok());
    let playing = numbers.filter(|pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.nth(1) == Some(b"demo-process")
    });
    playing.collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.filter_map(Result::ok);
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
