//! Writes, renames and removes files so that a crash leaves either the old or the new state.

use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{self, CWD, RenameFlags};
use rustix::io::Errno;
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

/// Writes a temporary file, then renames it to `path`.
pub(super) fn write(path: &Path, content: &[u8], mode: Mode) -> Result<(), DiskError> {
    let temporary = written(path, content, mode)?;
    let failed = DiskError::io("write", path);
    temporary
        .persist(path)
        .map_err(|error| failed(error.error))?;
    sync_parent(path)
}

/// Does the same if the file still has the content `was`, or does not exist if `was` is `None`.
///
/// No change of another program is lost in between: the files are exchanged, and exchanged back if the
/// other content is not `was`.
pub(super) fn replace(
    path: &Path,
    was: Option<&[u8]>,
    content: &[u8],
    mode: Mode,
) -> Result<(), DiskError> {
    let temporary = written(path, content, mode)?;
    check_unchanged(path, was)?;
    swap(temporary, path, was)?;
    sync_parent(path)
}

fn swap(temporary: NamedTempFile, path: &Path, was: Option<&[u8]>) -> Result<(), DiskError> {
    let failed = || DiskError::io("write", path);
    let Some(was) = was else {
        let created = temporary.persist_noclobber(path);
        return match created.map_err(|error| error.error) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(changed(path)),
            result => result.map(drop).map_err(failed()),
        };
    };
    let exchange = || fs::renameat_with(CWD, temporary.path(), CWD, path, RenameFlags::EXCHANGE);
    match exchange() {
        Ok(()) => {
            let old = std::fs::read(temporary.path());
            if old.as_ref().is_ok_and(|old| old == was) {
                return temporary.close().map_err(failed());
            }
            exchange().map_err(io::Error::from).map_err(failed())?;
            old.map_err(DiskError::io("read", path))?;
            Err(changed(path))
        }
        Err(Errno::NOENT) => Err(changed(path)),
        // Not every file system can exchange files.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let replaced = temporary.persist(path);
            replaced.map(drop).map_err(|error| failed()(error.error))
        }
        Err(error) => Err(failed()(error.into())),
    }
}

/// Checks that the file still has the content that the plan is based on.
pub(super) fn check_unchanged(path: &Path, was: Option<&[u8]>) -> Result<(), DiskError> {
    let now = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        content => Some(content.map_err(DiskError::io("read", path))?),
    };
    if now.as_deref() == was {
        Ok(())
    } else {
        Err(changed(path))
    }
}

fn changed(path: &Path) -> DiskError {
    let path = path.to_owned();
    DiskError::Changed { path }
}

/// A temporary file beside `path` that is on disk.
fn written(path: &Path, content: &[u8], mode: Mode) -> Result<NamedTempFile, DiskError> {
    let written = || {
        let mut temporary = temporary_in(parent(path))?;
        temporary.write_all(content)?;
        set_access(temporary.as_file(), mode)?;
        temporary.as_file().sync_all()?;
        Ok(temporary)
    };
    written().map_err(DiskError::io("write", path))
}

/// Creates a file that no runtime loads. If this process is killed, the next run removes it.
pub(super) fn temporary_in(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    builder.tempfile_in(directory)
}

/// Renames a file within its directory.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    std::fs::rename(from, to).map_err(DiskError::io("rename", from))?;
    sync_parent(to)
}

/// Removes a file, if it exists.
pub(super) fn remove(path: &Path) -> Result<(), DiskError> {
    match std::fs::remove_file(path) {
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
    match std::fs::remove_dir(path) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What another program does between the check and the exchange.
    type Change = fn(&Path);

    fn swap_after(change: Change, was: Option<&[u8]>) -> (Result<(), DiskError>, Option<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("10-calico.conflist");
        if let Some(was) = was {
            std::fs::write(&path, was).unwrap();
        }
        let temporary = written(&path, b"ours", Mode::Readable).unwrap();
        check_unchanged(&path, was).unwrap();
        change(&path);
        let result = swap(temporary, &path, was);
        let content = std::fs::read_to_string(&path).ok();
        let files = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(
            files,
            usize::from(content.is_some()),
            "temporary files are left"
        );
        (result, content)
    }

    #[test]
    fn a_file_that_did_not_change_is_replaced() {
        for was in [Some(b"theirs".as_slice()), None] {
            let (result, content) = swap_after(|_| (), was);
            result.unwrap();
            assert_eq!(content.as_deref(), Some("ours"));
        }
    }

    #[test]
    fn a_change_after_the_check_is_kept() {
        let remove: Change = |path| std::fs::remove_file(path).unwrap();
        let write: Change = |path| std::fs::write(path, "theirs, changed").unwrap();
        let was = Some(b"theirs".as_slice());
        for (change, was, kept) in [
            (remove, was, None),
            (write, was, Some("theirs, changed")),
            (write, None, Some("theirs, changed")),
        ] {
            let (result, content) = swap_after(change, was);
            assert!(
                matches!(result, Err(DiskError::Changed { .. })),
                "{result:?}"
            );
            assert_eq!(content.as_deref(), kept);
        }
    }
}
