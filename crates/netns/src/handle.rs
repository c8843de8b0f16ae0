//! A network namespace, held open.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use thiserror::Error;

/// An open network namespace.
///
/// It stays the same namespace whatever happens to the path, and exists as long as it is held.
#[derive(Debug)]
pub struct NetNs {
    file: File,
    path: PathBuf,
    id: (u64, u64),
}

/// A path that leads to no network namespace.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Nothing is there: the sandbox may be gone already.
    #[error("network namespace `{}` does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Something is there, but not a network namespace.
    #[error("`{}` is no network namespace", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// The kernel refused to open it.
    #[error("cannot open network namespace `{}`", path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl NetNs {
    /// Opens the namespace at a path such as `/run/netns/NAME` or `/proc/PID/ns/net`.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => OpenError::Missing { path: path.into() },
            _ => OpenError::Refused {
                path: path.into(),
                source,
            },
        })?;
        let refused = |source| OpenError::Refused {
            path: path.into(),
            source,
        };
        let filesystem = fstatfs(&file).map_err(|errno| refused(errno.into()))?;
        if filesystem.filesystem_type() != NSFS_MAGIC {
            return Err(OpenError::Foreign { path: path.into() });
        }
        let metadata = file.metadata().map_err(refused)?;
        Ok(Self {
            file,
            path: path.into(),
            id: (metadata.dev(), metadata.ino()),
        })
    }

    /// The namespace of the calling thread.
    pub fn current() -> Result<Self, OpenError> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// A new namespace, empty but for a loopback interface that is down.
    ///
    /// It has no name: it is gone once nobody holds it. Other processes find it at
    /// [`path`](Self::path) as long as this one holds it.
    pub fn scratch() -> Result<Self, OpenError> {
        let path = || Path::new("/proc/thread-self/ns/net");
        let refused = |source| OpenError::Refused {
            path: path().into(),
            source,
        };
        let unshared = || {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| refused(errno.into()))?;
            Self::current()
        };
        let made = thread::scope(|scope| scope.spawn(unshared).join());
        let gone = |_panic| refused(io::Error::other("the thread that made it panicked"));
        let mut netns = made.map_err(gone).flatten()?;
        let (process, descriptor) = (std::process::id(), netns.file.as_raw_fd());
        netns.path = PathBuf::from(format!("/proc/{process}/fd/{descriptor}"));
        Ok(netns)
    }

    /// Whether both are one and the same namespace.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// The path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which namespace it is: device and inode of its file.
    pub(crate) fn id(&self) -> (u64, u64) {
        self.id
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}
