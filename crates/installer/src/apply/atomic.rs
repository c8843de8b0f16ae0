//! Writing, renaming and removing files so that a crash leaves the old state or the new one.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use crate::DiskError;
use crate::look::LEFTOVER;

/// Permissions and owner of a file that is written.
pub(super) enum Mode {
    /// 0755.
    Executable,
    /// 0644.
    Readable,
    /// 0600.
    Private,
    /// Those of another file.
    As(Metadata),
}

/// Writes beside the file, then takes its place, if `check` still allows it.
pub(super) fn write(
    path: &Path,
    content: &[u8],
    mode: Mode,
    check: impl FnOnce() -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let failed = || DiskError::io("write", path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(LEFTOVER.0).suffix(LEFTOVER.1);
    let mut beside = builder.tempfile_in(directory_of(path)).map_err(failed())?;
    beside.write_all(content).map_err(failed())?;
    set_access(beside.as_file(), mode).map_err(failed())?;
    beside.as_file().sync_all().map_err(failed())?;
    check()?;
    beside
        .persist(path)
        .map_err(|error| failed()(error.error))?;
    sync_directory_of(path)
}

/// Gives a file another name in its directory.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    fs::rename(from, to).map_err(DiskError::io("rename", from))?;
    sync_directory_of(to)
}

/// Removes a file; one that is gone already is no error.
pub(super) fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.map_err(DiskError::io("remove", path))?;
            sync_directory_of(path)
        }
    }
}

/// Makes the directory that a file is to be in, where it is not there.
pub(super) fn make_directory_of(path: &Path, mode: u32) -> Result<(), DiskError> {
    let directory = directory_of(path);
    match DirBuilder::new().mode(mode).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => {
            result.map_err(DiskError::io("make", directory))?;
            sync_directory_of(directory)
        }
    }
}

/// Removes a directory; one that is gone already, or that something is in, is no error.
pub(super) fn remove_empty(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir(path) {
        Err(error) if is_no_matter(error.kind()) => Ok(()),
        result => {
            result.map_err(DiskError::io("remove", path))?;
            sync_directory_of(path)
        }
    }
}

/// A mount point is busy, or lies in a root that is read-only: in a container, the directory is the
/// host's and stays. What was in it went before, which a read-only disk would have refused.
fn is_no_matter(kind: io::ErrorKind) -> bool {
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
        Mode::As(like) => {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
                fchown(file, Some(like.uid()), Some(like.gid()))?;
            }
            like.permissions().mode() & 0o7777
        }
    };
    file.set_permissions(Permissions::from_mode(bits))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// A rename has reached the disk only when the directory has.
fn sync_directory_of(path: &Path) -> Result<(), DiskError> {
    let directory = directory_of(path);
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(DiskError::io("write", directory))
}
