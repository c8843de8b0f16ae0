//! Waiting for a change of some directories: told by the kernel, or by looking where the kernel has
//! no more watches to give.

use std::io::{self, PipeReader};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::stamps::Stamps;
use crate::look::LEFTOVER;

/// How often directories are looked at that nobody watches.
const POLL: Duration = Duration::from_millis(500);

/// What happens within this time of a change is one change.
const SETTLE: Duration = Duration::from_millis(20);

/// What can undo an installation, or ask for one: a file that was written, made, renamed or
/// removed, one whose permissions are others, and the directory itself.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Watches of some directories.
#[derive(Debug)]
pub(super) struct Watch {
    kernel: Result<OwnedFd, Errno>,
    directories: Vec<PathBuf>,
    /// Directories that the kernel does not watch, as they were when they were last looked at.
    unwatched: Vec<PathBuf>,
    stamps: Stamps,
    told: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            kernel: Err(Errno::NOSYS),
            directories: Vec::new(),
            unwatched: Vec::new(),
            stamps: Stamps::default(),
            told: false,
        }
    }

    /// Watches these directories from now on, and gives the reason back where the kernel cannot,
    /// once. A directory that was replaced is watched anew.
    pub(super) fn renew(&mut self, directories: &[PathBuf]) -> Option<io::Error> {
        if self.kernel.is_err() {
            self.kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        }
        self.directories = directories.to_vec();
        let mut problem = None;
        self.unwatched.clear();
        for directory in directories {
            let added = match &self.kernel {
                Ok(kernel) => inotify::add_watch(kernel, directory, CHANGES).map(drop),
                Err(error) => Err(*error),
            };
            if let Err(error) = added {
                self.unwatched.push(directory.clone());
                problem = problem.or(Some(error).filter(|error| *error != Errno::NOENT));
            }
        }
        self.stamps = Stamps::of(&self.unwatched);
        let news = problem.filter(|_| !self.told);
        self.told = problem.is_some();
        news.map(io::Error::from)
    }

    /// Waits for a change for at most this long; `true` where it is to end.
    pub(super) fn wait(&mut self, stop: &PipeReader, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let next = if self.unwatched.is_empty() {
                left
            } else {
                left.min(POLL)
            };
            let (stopped, told) = self.poll(stop, next);
            if stopped {
                return true;
            }
            let changed = told && self.is_change();
            if changed {
                return pause(stop, SETTLE);
            }
            if left.is_zero() || Stamps::of(&self.unwatched) != self.stamps {
                return false;
            }
        }
    }

    fn poll(&self, stop: &PipeReader, longest: Duration) -> (bool, bool) {
        let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
        if let Ok(kernel) = &self.kernel {
            fds.push(PollFd::new(kernel, PollFlags::IN));
        }
        wait_for(&mut fds, longest);
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        (ready(0), ready(1))
    }

    /// Reads all that the kernel has to say: is there more than our own half-written files?
    fn is_change(&self) -> bool {
        let Ok(kernel) = &self.kernel else {
            return false;
        };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(kernel, &mut buffer);
        let mut changed = false;
        while let Ok(event) = events.next() {
            let name = event.file_name().map(std::ffi::CStr::to_string_lossy);
            changed |= !name.is_some_and(|name| name.starts_with(LEFTOVER.0));
        }
        changed
    }
}

/// Waits; `true` where it is to end.
pub(super) fn pause(stop: &PipeReader, pause: Duration) -> bool {
    let mut fds = [PollFd::new(stop, PollFlags::IN)];
    wait_for(&mut fds, pause);
    !fds[0].revents().is_empty()
}

/// Is it to end?
pub(super) fn is_stopped(stop: &PipeReader) -> bool {
    pause(stop, Duration::ZERO)
}

/// A signal that cuts the wait short makes it no more than a look too many.
fn wait_for(fds: &mut [PollFd<'_>], longest: Duration) {
    let timeout = Timespec::try_from(longest).ok();
    if poll(fds, timeout.as_ref()).is_err() {
        for fd in fds {
            fd.clear_revents();
        }
    }
}
