//! Keeps the demo's processes running (`--keep`), and ends them (`--cleanup`). A state file lists
//! the processes with their start times, so that no other process with the same PID is killed.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use super::error::DemoError;
use super::process::Process;

const DIRECTORY: &str = "/run/mesh-cni";
const STATE_FILE: &str = "/run/mesh-cni/demo.json";

/// The content of the state file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    processes: Vec<KeptProcess>,
}

/// A process, identified by its PID and start time.
#[derive(Debug, Serialize, Deserialize)]
struct KeptProcess {
    role: String,
    pid: i32,
    /// Start time in clock ticks since boot, field 22 of `/proc/PID/stat`.
    started: u64,
}

/// Refuses to keep a second demo while the first one runs.
pub(crate) fn refuse_second() -> Result<(), DemoError> {
    if read()?.processes.iter().any(KeptProcess::is_running) {
        let path = STATE_FILE.into();
        return Err(DemoError::StillKept { path });
    }
    Ok(())
}

/// Writes the state file, and keeps the processes running.
pub(crate) fn leave(processes: Vec<&mut Process>) -> Result<(), DemoError> {
    let mut state = State::default();
    for process in &processes {
        let pid = process.pid();
        state.processes.push(KeptProcess {
            role: process.workload.clone(),
            pid: pid.as_raw(),
            started: start_time(pid).unwrap_or_default(),
        });
    }
    write(&state).map_err(DemoError::system(format!("write `{STATE_FILE}`")))?;
    for process in processes {
        process.keep()?;
    }
    Ok(())
}

/// Kills the processes, and returns their number.
pub(crate) fn clean_up() -> Result<usize, DemoError> {
    if !geteuid().is_root() {
        return Err(DemoError::NotRoot);
    }
    let state = read()?;
    let mut killed = 0;
    for process in state.processes.iter().filter(|each| each.is_running()) {
        match kill(Pid::from_raw(process.pid), Signal::SIGKILL) {
            Ok(()) => killed += 1,
            Err(Errno::ESRCH) => {}
            Err(errno) => {
                let what = format!("kill process {}", process.pid);
                return Err(DemoError::system(what)(errno));
            }
        }
    }
    remove().map_err(DemoError::system(format!("remove `{STATE_FILE}`")))?;
    Ok(killed)
}

impl KeptProcess {
    fn is_running(&self) -> bool {
        start_time(Pid::from_raw(self.pid)) == Some(self.started)
    }
}

/// The start time of a process; none if it does not exist.
fn start_time(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain parentheses and spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

fn read() -> Result<State, DemoError> {
    let text = match fs::read_to_string(STATE_FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
        Err(error) => return Err(DemoError::system(format!("read `{STATE_FILE}`"))(error)),
    };
    serde_json::from_str(&text).map_err(|source| DemoError::ForeignState {
        path: STATE_FILE.into(),
        source,
    })
}

fn write(state: &State) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(DIRECTORY)?;
    // The file of an earlier demo that has ended.
    if Path::new(STATE_FILE).exists() {
        fs::remove_file(STATE_FILE)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(STATE_FILE)?;
    let text = serde_json::to_string_pretty(state)?;
    file.write_all((text + "\n").as_bytes())
}

/// Removes the state file, and the directory if it is empty.
fn remove() -> io::Result<()> {
    match fs::remove_file(STATE_FILE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let _removed = fs::remove_dir(DIRECTORY);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_identified_by_its_start_time() {
        let own = Pid::this();
        let own_start = start_time(own).unwrap();
        let process = |started| KeptProcess {
            role: String::new(),
            pid: own.as_raw(),
            started,
        };
        assert!(process(own_start).is_running());
        assert!(!process(own_start + 1).is_running());
    }
}
