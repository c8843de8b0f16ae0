//! The lock of a run directory: the agent that holds it owns the socket.
//!
//! The kernel releases the lock when the process ends, however it ends. An agent that takes over from
//! one that hangs replaces the file with one that it has locked; the other finds that its file is not
//! at the path any more, and stops.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file name of the lock in the run directory.
const LOCK_FILE: &str = "agent.lock";

/// A lock that this process holds.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
}

/// The state of a lock that was taken earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockState {
    /// This process still holds it.
    Held,
    /// The file was removed.
    Removed,
    /// Another process has replaced the file.
    Replaced,
}

impl Lock {
    /// The lock of that directory, unless another process holds it. Only root can open the file, so
    /// no other user can hold it.
    pub(crate) fn try_take(run_dir: &Path) -> io::Result<Option<Self>> {
        let path = run_dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                let lock = Self { path, file };
                // Another process may have replaced the file in between.
                Ok((lock.state()? == LockState::Held).then_some(lock))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the lock from the process that holds it.
    pub(crate) fn take_over(run_dir: &Path) -> io::Result<Self> {
        let path = run_dir.join(LOCK_FILE);
        let fresh = tempfile::Builder::new()
            // `mesh-cni-agent uninstall` removes files with such a name.
            .prefix(".mesh-cni-")
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(run_dir)?;
        fresh.as_file().try_lock().map_err(io::Error::from)?;
        let file = fresh.persist(&path).map_err(|error| error.error)?;
        Ok(Self { path, file })
    }

    pub(crate) fn state(&self) -> io::Result<LockState> {
        let ours = self.file.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => {
                Ok(LockState::Held)
            }
            Ok(_) => Ok(LockState::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LockState::Removed),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_holds_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let first = Lock::try_take(directory.path()).unwrap().unwrap();
        assert!(Lock::try_take(directory.path()).unwrap().is_none());
        let mode = fs::metadata(directory.path().join(LOCK_FILE))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o7777, 0o600);
        drop(first);
        assert!(Lock::try_take(directory.path()).unwrap().is_some());
    }

    #[test]
    fn the_first_holder_notices_that_another_took_over() {
        let directory = tempfile::tempdir().unwrap();
        let first = Lock::try_take(directory.path()).unwrap().unwrap();
        assert_eq!(first.state().unwrap(), LockState::Held);
        let second = Lock::take_over(directory.path()).unwrap();
        assert_eq!(first.state().unwrap(), LockState::Replaced);
        drop(first);
        assert_eq!(second.state().unwrap(), LockState::Held);
        assert!(Lock::try_take(directory.path()).unwrap().is_none());
        fs::remove_file(directory.path().join(LOCK_FILE)).unwrap();
        assert_eq!(second.state().unwrap(), LockState::Removed);
    }
}
