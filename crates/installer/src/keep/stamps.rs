//! Detects changes of a directory without reading its files.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Name, inode number, size and times of every file in some directories.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, [i64; 6])>);

impl Stamps {
    /// Takes the current stamps. Files that cannot be read have none.
    pub(super) fn of(directories: &[PathBuf]) -> Self {
        let mut stamps = Vec::new();
        for directory in directories {
            stamps.extend(stamp(directory));
            let entries = fs::read_dir(directory).into_iter().flatten();
            stamps.extend(entries.flatten().filter_map(|entry| stamp(&entry.path())));
        }
        stamps.sort();
        Self(stamps)
    }
}

fn stamp(path: &Path) -> Option<(PathBuf, [i64; 6])> {
    let metadata = fs::metadata(path).ok()?;
    Some((path.to_owned(), numbers(&metadata)))
}

fn numbers(of: &Metadata) -> [i64; 6] {
    let (number, size) = (of.ino().cast_signed(), of.size().cast_signed());
    [
        number,
        size,
        of.mtime(),
        of.mtime_nsec(),
        of.ctime(),
        of.ctime_nsec(),
    ]
}
