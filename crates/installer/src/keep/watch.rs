//! Waits for changes of directories with inotify, or by polling if inotify fails.

use std::io::{self, PipeReader};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::stamps::Stamps;
use crate::read::TEMPORARY;

/// How often directories without an inotify watch are polled.
const POLL: Duration = Duration::from_millis(500);

/// Further changes within this time count as the same change.
const SETTLE: Duration = Duration::from_millis(20);

/// Events that can require a step: a file is written, created, renamed, removed or gets another mode,
/// or the directory itself is moved or removed.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Watches on some directories.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Result<OwnedFd, Errno>,
    directories: Vec<PathBuf>,
    /// Directories without a watch, which are polled.
    unwatched: Vec<PathBuf>,
    stamps: Stamps,
    reported: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            inotify: Err(Errno::NOSYS),
            directories: Vec::new(),
            unwatched: Vec::new(),
            stamps: Stamps::default(),
            reported: false,
        }
    }

    /// Watches these directories from now on, including replaced ones. Returns the error if inotify
    /// fails, once.
    pub(super) fn renew(&mut self, directories: &[PathBuf]) -> Option<io::Error> {
        if self.inotify.is_err() {
            self.inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        }
        self.directories = directories.to_vec();
        let mut problem = None;
        self.unwatched.clear();
        for directory in directories {
            let added = match &self.inotify {
                Ok(fd) => inotify::add_watch(fd, directory, CHANGES).map(drop),
                Err(error) => Err(*error),
            };
            if let Err(error) = added {
                self.unwatched.push(directory.clone());
                problem = problem.or(Some(error).filter(|error| *error != Errno::NOENT));
            }
        }
        self.stamps = Stamps::of(&self.unwatched);
        let unreported = problem.filter(|_| !self.reported);
        self.reported = problem.is_some();
        unreported.map(io::Error::from)
    }

    /// Waits at most this long for a change; returns whether to stop.
    pub(super) fn wait(&mut self, stop: &PipeReader, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let next = if self.unwatched.is_empty() {
                left
            } else {
                left.min(POLL)
            };
            let (stopped, notified) = self.poll(stop, next);
            if stopped {
                return true;
            }
            if notified && self.is_change() {
                return pause(stop, SETTLE);
            }
            if left.is_zero() || Stamps::of(&self.unwatched) != self.stamps {
                return false;
            }
        }
    }

    fn poll(&self, stop: &PipeReader, longest: Duration) -> (bool, bool) {
        let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
        if let Ok(fd) = &self.inotify {
            fds.push(PollFd::new(fd, PollFlags::IN));
        }
        wait_for(&mut fds, longest);
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        (ready(0), ready(1))
    }

    /// Reads all pending events; returns whether one of them is not about our temporary files.
    fn is_change(&self) -> bool {
        let Ok(fd) = &self.inotify else {
            return false;
        };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(fd, &mut buffer);
        let mut changed = false;
        while let Ok(event) = events.next() {
            let name = event.file_name().map(std::ffi::CStr::to_string_lossy);
            changed |= !name.is_some_and(|name| name.starts_with(TEMPORARY.0));
        }
        changed
    }
}

/// Waits this long; returns whether to stop.
pub(super) fn pause(stop: &PipeReader, pause: Duration) -> bool {
    let mut fds = [PollFd::new(stop, PollFlags::IN)];
    wait_for(&mut fds, pause);
    !fds[0].revents().is_empty()
}

/// Returns whether to stop.
pub(super) fn is_stopped(stop: &PipeReader) -> bool {
    pause(stop, Duration::ZERO)
}

/// A signal ends the wait early, which costs only one more round.
fn wait_for(fds: &mut [PollFd<'_>], longest: Duration) {
    let timeout = Timespec::try_from(longest).ok();
    if poll(fds, timeout.as_ref()).is_err() {
        for fd in fds {
            fd.clear_revents();
        }
    }
}
