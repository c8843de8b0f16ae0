//! The agent's socket: owner-only from its first moment, in the place of a stale one, never in the
//! place of a live one.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The socket's name in the run directory.
pub const SOCKET: &str = "agent.sock";

/// A socket that cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The file system or the kernel refused.
    #[error("socket `{}`: cannot {action}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Another agent answers there.
    #[error("socket `{}`: another agent answers there", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket is there.
    #[error("socket `{}`: there is something that is no socket", .0.display())]
    NoSocket(PathBuf),
}

/// Listens in that directory, which is made where it is not there.
///
/// The socket is bound in a fresh directory that nobody else may enter, given its mode there, and
/// only then moved to its name: at no moment can another user open it, and whoever opens the name
/// finds either the old socket or the new one, listening.
pub(crate) fn listen(run_dir: &Path) -> Result<UnixListener, ListenError> {
    let path = run_dir.join(SOCKET);
    let failed = |action| {
        let path = path.clone();
        move |source| ListenError::Io {
            path,
            action,
            source,
        }
    };
    let mut make = DirBuilder::new();
    make.recursive(true).mode(0o700);
    make.create(run_dir).map_err(failed("make its directory"))?;
    refuse_live(&path)?;
    let room = tempfile::Builder::new()
        .prefix(".agent")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(run_dir)
        .map_err(failed("make a directory beside it"))?;
    let fresh = room.path().join(SOCKET);
    let listener = UnixListener::bind(&fresh).map_err(failed("bind"))?;
    let owner_only = Permissions::from_mode(0o600);
    fs::set_permissions(&fresh, owner_only).map_err(failed("set its mode"))?;
    listener
        .set_nonblocking(true)
        .map_err(failed("set it up"))?;
    fs::rename(&fresh, &path).map_err(failed("move it to its name"))?;
    Ok(listener)
}

/// What is stale may go; what answers, or is no socket, may not.
fn refuse_live(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(ListenError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
        Err(_) => return Ok(()),
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
        Err(_) => Ok(()),
    }
}
