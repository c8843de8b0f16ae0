//! An open network namespace.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use thiserror::Error;

use crate::user_ns;

/// The network namespace of the calling thread.
const CURRENT: &str = "/proc/thread-self/ns/net";

/// An open network namespace.
///
/// It remains the same namespace whatever happens to the path, and exists as long as this value.
#[derive(Debug)]
pub struct NetNs {
    file: File,
    path: PathBuf,
    id: (u64, u64),
}

/// Why a network namespace was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The path does not exist: the sandbox may have ended already.
    #[error("network namespace `{}` does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The path is not that of a network namespace.
    #[error("`{}` is not a network namespace", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// The kernel refused to open it.
    #[error("cannot open network namespace `{}`", path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl NetNs {
    /// Opens the namespace at a path such as `/run/netns/NAME` or `/proc/PID/ns/net`.
    ///
    /// Whatever else is there, such as a FIFO without a writer, does not block the caller.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Refused {
            path: path.into(),
            source,
        };
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = OpenOptions::new();
        let opened = options.read(true).custom_flags(flags.bits()).open(path);
        let file = opened.map_err(|source| match source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => OpenError::Missing { path: path.into() },
            // A socket, or a device without a driver.
            Some(Errno::ENXIO | Errno::ENODEV) => OpenError::Foreign { path: path.into() },
            _ => refused(source),
        })?;
        Self::new(file, path.into())
    }

    /// The namespace of that descriptor, for example one that another process sent.
    pub fn from_file(file: File) -> Result<Self, OpenError> {
        let path = path_of(&file);
        let netns = Self::new(file, path)?;
        match user_ns::kind(&netns.file) {
            Ok(kind) if kind == CloneFlags::CLONE_NEWNET.bits() => Ok(netns),
            Ok(_) => Err(OpenError::Foreign { path: netns.path }),
            Err(source) => Err(OpenError::Refused {
                path: netns.path,
                source: source.into(),
            }),
        }
    }

    /// A namespace of any kind: entering one of another kind fails.
    fn new(file: File, path: PathBuf) -> Result<Self, OpenError> {
        let verify = || -> io::Result<_> {
            let is_namespace = fstatfs(&file)?.filesystem_type() == NSFS_MAGIC;
            let metadata = file.metadata()?;
            Ok(is_namespace.then(|| (metadata.dev(), metadata.ino())))
        };
        match verify() {
            Ok(Some(id)) => Ok(Self { file, path, id }),
            Ok(None) => Err(OpenError::Foreign { path }),
            Err(source) => Err(OpenError::Refused { path, source }),
        }
    }

    /// The namespace of the calling thread.
    pub fn current() -> Result<Self, OpenError> {
        Self::open(Path::new(CURRENT))
    }

    /// A new namespace with only a loopback interface, which is down.
    ///
    /// It has no name and ends with this value. Until then other processes can open it at
    /// [`path`](Self::path).
    pub fn scratch() -> Result<Self, OpenError> {
        let refused = |source| OpenError::Refused {
            path: CURRENT.into(),
            source,
        };
        let create = move || {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| refused(errno.into()))?;
            Self::current()
        };
        let panicked = |_panic| refused(io::Error::other("the thread that created it panicked"));
        let thread = thread::Builder::new().spawn(create).map_err(refused)?;
        let mut netns = thread.join().map_err(panicked).flatten()?;
        netns.path = path_of(&netns.file);
        Ok(netns)
    }

    /// Whether both are the same namespace.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// The path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its identity: device and inode of its file. Another namespace can have it after this one ends.
    pub fn id(&self) -> (u64, u64) {
        self.id
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// By identity.
impl PartialEq for NetNs {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}

impl Eq for NetNs {}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Where other processes can open that file while this process keeps it open.
fn path_of(file: &File) -> PathBuf {
    let (process, descriptor) = (std::process::id(), file.as_raw_fd());
    PathBuf::from(format!("/proc/{process}/fd/{descriptor}"))
}

#[cfg(test)]
mod tests;
