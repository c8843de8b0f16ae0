//! What `--keep` leaves behind, and how `--cleanup` ends it: a note of the processes, each with the
//! time of its start, so that no other process that got its number is ever ended.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use super::child::Process;
use super::error::DemoError;

const FOLDER: &str = "/run/mesh-cni";
const NOTE: &str = "/run/mesh-cni/demo.json";

/// The note.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    processes: Vec<Noted>,
}

/// A process, known by its number and the time of its start.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    role: String,
    pid: i32,
    /// Clock ticks after the machine's start, field 22 of `/proc/PID/stat`.
    started: u64,
}

/// Refuses to keep a second demo beside a first one that still runs.
pub(crate) fn refuse_second() -> Result<(), DemoError> {
    let kept = read()?;
    if kept.processes.iter().any(Noted::still_runs) {
        return Err(DemoError::StillKept { path: NOTE.into() });
    }
    Ok(())
}

/// Notes the processes and lets them live on.
pub(crate) fn leave(processes: Vec<&mut Process>) -> Result<(), DemoError> {
    let mut kept = Kept::default();
    for process in &processes {
        let pid = process.pid();
        kept.processes.push(Noted {
            role: process.role.clone(),
            pid: pid.as_raw(),
            started: started(pid).unwrap_or_default(),
        });
    }
    write(&kept).map_err(DemoError::system(format!("write `{NOTE}`")))?;
    for process in processes {
        process.keep()?;
    }
    Ok(())
}

/// Ends what was left; gives back how many processes that were.
pub(crate) fn clean_up() -> Result<usize, DemoError> {
    if !geteuid().is_root() {
        return Err(DemoError::NotRoot);
    }
    let kept = read()?;
    let running = kept.processes.iter().filter(|noted| noted.still_runs());
    let mut ended = 0;
    for noted in running {
        let end = DemoError::system(format!("end process {}", noted.pid));
        match kill(Pid::from_raw(noted.pid), Signal::SIGKILL) {
            Ok(()) => ended += 1,
            Err(Errno::ESRCH) => {}
            Err(errno) => return Err(end(errno)),
        }
    }
    forget().map_err(DemoError::system(format!("remove `{NOTE}`")))?;
    Ok(ended)
}

impl Noted {
    fn still_runs(&self) -> bool {
        started(Pid::from_raw(self.pid)) == Some(self.started)
    }
}

/// When the process was started; none where there is no such process.
fn started(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets and blanks included.
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(19)?.parse().ok()
}

fn read() -> Result<Kept, DemoError> {
    let text = match fs::read_to_string(NOTE) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(DemoError::system(format!("read `{NOTE}`"))(error)),
    };
    serde_json::from_str(&text).map_err(|source| DemoError::ForeignState {
        path: NOTE.into(),
        source,
    })
}

fn write(kept: &Kept) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(FOLDER)?;
    // A note of an earlier demo that has ended.
    if Path::new(NOTE).exists() {
        fs::remove_file(NOTE)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(NOTE)?;
    let text = serde_json::to_string_pretty(kept)?;
    file.write_all((text + "\n").as_bytes())
}

/// Removes the note, and the folder where it was alone there.
fn forget() -> io::Result<()> {
    match fs::remove_file(NOTE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Others may have files there.
    let _removed = fs::remove_dir(FOLDER);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let own = Pid::this();
        let started = started(own).unwrap();
        let noted = |started| Noted {
            role: String::new(),
            pid: own.as_raw(),
            started,
        };
        assert!(noted(started).still_runs());
        assert!(!noted(started + 1).still_runs());
    }
}
