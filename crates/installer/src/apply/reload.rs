//! Makes runtimes load a network's list again after a change that they do not see.
//!
//! Runtimes watch the directory of network configurations, but not the directories of networks in it.
//! They load all lists after an event of any file there: CRI-O after a creation, write or rename,
//! containerd after a write, rename or removal. Neither acts on changed attributes, so a new time of
//! modification is not enough.

use std::fs::File;
use std::io;
use std::path::Path;

use super::atomic;
use crate::DiskError;

/// Makes the change, then writes and removes a temporary file in the directory.
///
/// The file exists before the change: if this process is killed in between, the next run finds the
/// file and [finishes](finish).
pub(super) fn and_then_reload(
    conf_dir: &Path,
    change: impl FnOnce() -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let failed = || DiskError::io("write", conf_dir);
    let temporary = atomic::temporary_in(conf_dir).map_err(failed())?;
    change()?;
    write(temporary.as_file()).map_err(failed())?;
    temporary.close().map_err(failed())
}

/// Writes a temporary file that an interrupted run left.
pub(super) fn finish(path: &Path) -> Result<(), DiskError> {
    match File::options().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => file
            .and_then(|file| write(&file))
            .map_err(DiskError::io("write", path)),
    }
}

/// A change of the length is a write, and works on a full disk.
fn write(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.set_len(length + 1)
}
