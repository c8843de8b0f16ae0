//! Carrying steps out, each whole or not at all.

mod atomic;

use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use crate::{Access, DiskError, Edit, Step};

/// Carries the steps out in their order, and tells each one that is done. What a step says has
/// reached the disk before the next one begins.
///
/// A step whose file has been changed since it was looked at is refused.
pub fn apply(steps: &[Step], mut done: impl FnMut(&Step)) -> Result<(), DiskError> {
    for step in steps {
        carry_out(step)?;
        done(step);
    }
    Ok(())
}

fn carry_out(step: &Step) -> Result<(), DiskError> {
    match step {
        Step::WriteBinary { from, path } => {
            let content = fs::read(from).map_err(DiskError::io("read", from))?;
            atomic::write(path, &content, atomic::Mode::Executable, || Ok(()))
        }
        Step::WriteKubeconfig { path, text } => {
            atomic::make_directory_of(path, 0o700)?;
            let text = text.expose().as_bytes();
            atomic::write(path, text, atomic::Mode::Private, || Ok(()))
        }
        Step::WriteList {
            path,
            text,
            was,
            access,
            edit,
        } => {
            if *edit == Edit::DroppedIn {
                atomic::make_directory_of(path, 0o755)?;
            }
            write_list(path, text, was.as_deref(), access)
        }
        Step::SetAside { from, to, was } => {
            still_holds(from, Some(was))?;
            atomic::rename(from, to)
        }
        Step::PutBack { from, to } => {
            still_holds(to, None)?;
            atomic::rename(from, to)
        }
        Step::RemoveList { path, was } => {
            still_holds(path, Some(was))?;
            atomic::remove(path)
        }
        Step::RemoveLeftover { path }
        | Step::DiscardSaved { path }
        | Step::RemoveRunFile { path }
        | Step::RemoveBinary { path } => atomic::remove(path),
        Step::RemoveDirectory { path } => atomic::remove_empty(path),
        Step::AwaitReload { pause } => {
            thread::sleep(*pause);
            Ok(())
        }
    }
}

fn write_list(
    path: &Path,
    text: &str,
    was: Option<&str>,
    access: &Access,
) -> Result<(), DiskError> {
    let mode = match access {
        Access::New => atomic::Mode::Readable,
        Access::Of(like) => {
            let metadata = fs::metadata(like).map_err(DiskError::io("read", like))?;
            atomic::Mode::As(metadata)
        }
    };
    // A list that is a symbolic link is written where it points to.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    atomic::write(&target, text.as_bytes(), mode, || still_holds(path, was))
}

/// Has the file the content that the plan was made for?
fn still_holds(path: &Path, was: Option<&str>) -> Result<(), DiskError> {
    let now = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        content => Some(content.map_err(DiskError::io("read", path))?),
    };
    if now.as_deref() == was.map(str::as_bytes) {
        return Ok(());
    }
    let path = path.to_owned();
    Err(DiskError::Changed { path })
}
