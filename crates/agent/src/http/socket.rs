//! The agent's Unix socket: only its owner can open it at any time, and it replaces a stale socket but
//! never one on which another agent listens.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use mesh_cni_agent_api::SOCKET_FILE;
use thiserror::Error;

/// The socket cannot be created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// A system call failed.
    #[error("socket `{}`: cannot {action}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What failed.
        action: &'static str,
        /// The error.
        source: io::Error,
    },
    /// Another agent listens on it.
    #[error("socket `{}`: another agent listens on it", .0.display())]
    InUse(PathBuf),
    /// The path is something else than a socket.
    #[error("socket `{}`: it exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
}

/// Listens in that directory, which is created if it does not exist.
///
/// The socket is bound and gets its mode in a new private directory, and is then moved to its path. So
/// no other user can open it at any time, and the path always leads to a listening socket, the old or
/// the new one.
pub(crate) fn listen(run_dir: &Path) -> Result<UnixListener, ListenError> {
    let path = run_dir.join(SOCKET_FILE);
    let failed = |action| {
        let path = path.clone();
        move |source| ListenError::Io {
            path,
            action,
            source,
        }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(run_dir)
        .map_err(failed("create its directory"))?;
    refuse_live(&path)?;
    let private = tempfile::Builder::new()
        .prefix(".agent")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(run_dir)
        .map_err(failed("create a directory next to it"))?;
    let fresh = private.path().join(SOCKET_FILE);
    let listener = UnixListener::bind(&fresh).map_err(failed("bind"))?;
    let owner_only = Permissions::from_mode(0o600);
    fs::set_permissions(&fresh, owner_only).map_err(failed("set its mode"))?;
    listener
        .set_nonblocking(true)
        .map_err(failed("set it up"))?;
    fs::rename(&fresh, &path).map_err(failed("move it to its path"))?;
    Ok(listener)
}

/// Fails if the path exists, unless it is a stale socket.
fn refuse_live(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(ListenError::NotASocket(path.to_owned()))
        }
        Ok(_) if UnixStream::connect(path).is_ok() => Err(ListenError::InUse(path.to_owned())),
        Ok(_) | Err(_) => Ok(()),
    }
}
