//! The process above the stages: whatever ends them, a signal among it, nothing of them stays.

use std::env;
use std::path::Path;
use std::process::{Child, Command, ExitCode};

use mesh_cni_tests::Enclosure;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getppid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What tells the process of the stages who watches it.
const WATCHED_BY: &str = "MESH_CNI_CLUSTER_TEST_WATCHED_BY";

/// Runs `stages` in a process of its own, with a temporary folder of its own, and clears up behind
/// it when it has ended or a signal asks for the end; `put_back` is told that folder then.
pub(crate) fn supervise(
    stages: impl FnOnce() -> ExitCode,
    put_back: impl FnOnce(&Path),
) -> ExitCode {
    let Some(watcher) = env::var_os(WATCHED_BY) else {
        return watch(put_back);
    };
    // Who is killed without a chance to clear up takes the stages along.
    prctl::set_pdeathsig(Signal::SIGKILL).expect("a process may wish to end with its parent");
    assert_eq!(watcher.to_str(), Some(&*getppid().to_string()));
    stages()
}

fn watch(put_back: impl FnOnce(&Path)) -> ExitCode {
    // cargo and make do not hand signals on; they die of them.
    prctl::set_pdeathsig(Signal::SIGTERM).expect("a process may wish to end with its parent");
    prctl::set_child_subreaper(true).expect("a process may inherit its descendants");
    let mut signals =
        Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM]).expect("signals can be taken");
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let mut child = start(folder.path());
    let mut asked = None;
    let mut ended = None;
    for signal in signals.forever() {
        if signal != SIGCHLD && asked.replace(signal).is_none() {
            // Its descendants are bound to it: the kernel ends them too.
            drop(child.kill());
        }
        ended = child.try_wait().expect("a child can be waited for");
        if ended.is_some() {
            break;
        }
    }
    end_descendants();
    Enclosure::sweep(child.id());
    put_back(folder.path());
    folder.close().expect("the temporary folder can be removed");
    if let Some(signal) = asked {
        println!("ended by signal {signal}; nothing of the stages stays");
    }
    match ended {
        Some(status) if status.success() && asked.is_none() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn start(folder: &Path) -> Child {
    let own = env::current_exe().expect("a running program has a path");
    let mut command = Command::new(own);
    command
        .args(env::args_os().skip(1))
        .env(WATCHED_BY, std::process::id().to_string())
        .env("TMPDIR", folder);
    command.spawn().expect("this program can be started again")
}

/// Waits until all have ended who are still there. An enclosure's first process is the last of it.
fn end_descendants() {
    for child in children() {
        // Who has ended by itself is waited for as well.
        kill(child, Signal::SIGKILL).unwrap_or_default();
    }
    while waitpid(None, None) != Err(Errno::ECHILD) {}
}

fn children() -> Vec<Pid> {
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace();
    children
        .filter_map(|child| child.parse().ok().map(Pid::from_raw))
        .collect()
}
