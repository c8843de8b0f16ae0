//! Waits for changes of files, with a timeout.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// The maximum length of one wait, after which the caller checks other conditions.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Notifications about changes of a file or directory.
#[derive(Debug)]
pub(crate) struct FileChanges {
    inotify: Inotify,
}

impl FileChanges {
    pub(crate) fn of(path: &Path) -> Self {
        let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;
        let inotify = Inotify::init(flags).expect("inotify is available");
        let kinds = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE;
        inotify.add_watch(path, kinds).expect("the path exists");
        Self { inotify }
    }

    /// Waits for a change, at most [`CHECK_INTERVAL`].
    pub(crate) fn wait(&self) {
        let timeout = PollTimeout::try_from(CHECK_INTERVAL).expect("the interval is valid");
        let mut waiting = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        poll(&mut waiting, timeout).expect("a descriptor can be waited for");
        // After a timeout there is nothing to read.
        drop(self.inotify.read_events());
    }
}

/// Calls `probe` now, and again after each change in the directory, until it returns a value. Panics
/// after the timeout; `what` describes the failure.
pub fn wait_for_change<T>(
    directory: &Path,
    timeout: Duration,
    what: &str,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let changes = FileChanges::of(directory);
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "{}: {what} in time",
            directory.display()
        );
        changes.wait();
    }
}
