//! The parent process of the stages: it cleans up after them, also after a signal.

use std::env;
use std::path::Path;
use std::process::{Child, Command, ExitCode};

use mesh_cni_tests::IsolatedHost;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getppid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The variable by which the process of the stages knows its supervisor.
const WATCHED_BY: &str = "MESH_CNI_CLUSTER_TEST_WATCHED_BY";

/// Runs `stages` in a child process with its own temporary folder. When the child has ended or a
/// signal arrives, calls `clean_up` with that folder and removes it.
pub(crate) fn supervise(
    stages: impl FnOnce() -> ExitCode,
    clean_up: impl FnOnce(&Path),
) -> ExitCode {
    let Some(watcher) = env::var_os(WATCHED_BY) else {
        return watch(clean_up);
    };
    // If the supervisor is killed, the kernel kills the stages too.
    prctl::set_pdeathsig(Signal::SIGKILL).expect("a process can request a parent-death signal");
    assert_eq!(watcher.to_str(), Some(&*getppid().to_string()));
    stages()
}

fn watch(clean_up: impl FnOnce(&Path)) -> ExitCode {
    // cargo and make do not forward signals; they are killed by them.
    prctl::set_pdeathsig(Signal::SIGTERM).expect("a process can request a parent-death signal");
    prctl::set_child_subreaper(true).expect("a process can become a subreaper");
    let mut signals =
        Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM]).expect("signals can be handled");
    let folder = tempfile::tempdir().expect("a temporary directory can be created");
    let mut child = start(folder.path());
    let mut asked = None;
    let mut ended = None;
    for signal in signals.forever() {
        if signal != SIGCHLD && asked.replace(signal).is_none() {
            // The kernel kills its descendants too.
            drop(child.kill());
        }
        ended = child.try_wait().expect("a child can be waited for");
        if ended.is_some() {
            break;
        }
    }
    end_descendants();
    IsolatedHost::sweep(child.id());
    clean_up(folder.path());
    folder.close().expect("the temporary folder can be removed");
    if let Some(signal) = asked {
        println!("ended by signal {signal}; everything of the stages is removed");
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

/// Waits until all descendants have ended. The first process of an isolated host is the last to end.
fn end_descendants() {
    for child in children() {
        // Reaps processes that ended by themselves as well.
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
