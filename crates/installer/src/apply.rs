//! Carries out steps, each atomically.

mod atomic;
mod reload;

use std::fs;
use std::path::Path;
use std::thread;

use crate::{Access, DiskError, Edit, Step};

/// Content of the file that makes the binary pass everything through, for people who find it.
const MARK: &str = "mesh-cni was uninstalled from this node. Its binary stays because a network \
                    configuration names it. It redirects no pod while this file exists. \
                    `mesh-cni-agent install` removes this file.\n";

/// Carries out the steps in order and reports each one that is done. Each step is on disk before the
/// next one starts.
///
/// Fails with [`DiskError::Changed`] if a file was changed since it was read.
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
            atomic::write(path, &content, atomic::Mode::Executable)
        }
        Step::WriteKubeconfig { path, text } => {
            atomic::create_parent(path, 0o700)?;
            let text = text.expose().as_bytes();
            atomic::write(path, text, atomic::Mode::Private)
        }
        Step::WriteList {
            path,
            text,
            was,
            access,
            edit,
        } => {
            let write = || write_list(path, text, was.as_deref(), access);
            if *edit == Edit::DropIn {
                atomic::create_parent(path, 0o755)?;
                reload::and_then_reload(conf_dir(path), write)
            } else {
                write()
            }
        }
        Step::SetAside { from, to, was } => {
            atomic::check_unchanged(from, Some(was))?;
            atomic::rename(from, to)
        }
        Step::Restore { from, to } => {
            atomic::check_unchanged(to, None)?;
            atomic::rename(from, to)
        }
        Step::RemoveList { path, was } => {
            atomic::check_unchanged(path, Some(was))?;
            atomic::remove(path)
        }
        Step::RemoveDropIn { path, was } => reload::and_then_reload(conf_dir(path), || {
            atomic::check_unchanged(path, Some(was))?;
            atomic::remove(path)
        }),
        Step::RemoveLeftover { path } => {
            reload::finish(path)?;
            atomic::remove(path)
        }
        Step::DiscardSaved { path }
        | Step::RemoveRunFile { path }
        | Step::RemoveMark { path }
        | Step::RemoveBinary { path } => atomic::remove(path),
        Step::WriteMark { path } => atomic::write(path, MARK.as_bytes(), atomic::Mode::Readable),
        Step::RemoveDirectory { path } => atomic::remove_empty(path),
        Step::AwaitReload { pause } => {
            thread::sleep(*pause);
            Ok(())
        }
    }
}

/// The directory of network configurations, which contains the directories of networks.
fn conf_dir(drop_in: &Path) -> &Path {
    atomic::parent(atomic::parent(drop_in))
}

fn write_list(
    path: &Path,
    text: &[u8],
    was: Option<&[u8]>,
    access: &Access,
) -> Result<(), DiskError> {
    let mode = match access {
        Access::New => atomic::Mode::Readable,
        Access::Like(like) => {
            let metadata = fs::metadata(like).map_err(DiskError::io("read", like))?;
            atomic::Mode::Like(metadata)
        }
    };
    // For a symbolic link, its target is written.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    atomic::replace(&target, was, text, mode)
}
