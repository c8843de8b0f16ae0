//! Writes, renames and removes files so that a crash leaves either the old or the new state.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::DiskError;
use crate::read::TEMPORARY;

/// Permissions and owner of a written file.
pub(super) enum Mode {
    /// 0755.
    Executable,
    /// 0644.
    Readable,
    /// 0600.
    Private,
    /// Those of another file.
    Like(Metadata),
}

/// Writes a temporary file, then renames it to `path` if `check` succeeds.
pub(super) fn write(
    path: &Path,
    content: &[u8],
    mode: Mode,
    check: impl FnOnce() -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let failed = || DiskError::io("write", path);
    let mut temporary = temporary_in(parent(path)).map_err(failed())?;
    temporary.write_all(content).map_err(failed())?;
    set_access(temporary.as_file(), mode).map_err(failed())?;
    temporary.as_file().sync_all().map_err(failed())?;
    check()?;
    temporary
        .persist(path)
        .map_err(|error| failed()(error.error))?;
    sync_parent(path)
}

/// Creates a file that no runtime loads. If this process is killed, the next run removes it.
pub(super) fn temporary_in(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    builder.tempfile_in(directory)
}

/// Renames a file within its directory.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    fs::rename(from, to).map_err(DiskError::io("rename", from))?;
    sync_parent(to)
}

/// Removes a file, if it exists.
pub(super) fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.map_err(DiskError::io("remove", path))?;
            sync_parent(path)
        }
    }
}

/// Creates a file's parent directory, if it does not exist.
pub(super) fn create_parent(path: &Path, mode: u32) -> Result<(), DiskError> {
    let directory = parent(path);
    match DirBuilder::new().mode(mode).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => {
            result.map_err(DiskError::io("create", directory))?;
            sync_parent(directory)
        }
    }
}

/// Removes a directory, if it exists and is empty.
pub(super) fn remove_empty(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir(path) {
        Err(error) if may_stay(error.kind()) => Ok(()),
        result => {
            result.map_err(DiskError::io("remove", path))?;
            sync_parent(path)
        }
    }
}

/// In a container, a mount point cannot be removed: it is busy, or its parent is read-only. Its files
/// were removed before, so the mounted file system itself is writable.
fn may_stay(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::NotFound
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn set_access(file: &File, mode: Mode) -> io::Result<()> {
    let bits = match mode {
        Mode::Executable => 0o755,
        Mode::Readable => 0o644,
        Mode::Private => 0o600,
        Mode::Like(like) => {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
                fchown(file, Some(like.uid()), Some(like.gid()))?;
            }
            like.permissions().mode() & 0o7777
        }
    };
    file.set_permissions(Permissions::from_mode(bits))
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// A rename is on disk only after its directory is synced.
fn sync_parent(path: &Path) -> Result<(), DiskError> {
    let directory = parent(path);
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(DiskError::io("write", directory))
}
