//! Files that change: waiting for it, with a deadline.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// How long one wait goes on before its caller looks around.
pub(crate) const BREATH: Duration = Duration::from_millis(500);

/// What the kernel tells of a file or a folder.
#[derive(Debug)]
pub(crate) struct Changes {
    told: Inotify,
}

impl Changes {
    pub(crate) fn of(path: &Path) -> Self {
        let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;
        let told = Inotify::init(flags).expect("a file can be watched");
        let kinds = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE;
        told.add_watch(path, kinds).expect("the path is there");
        Self { told }
    }

    /// Waits for a change, or for a breath.
    pub(crate) fn wait(&self) {
        let breath = PollTimeout::try_from(BREATH).expect("half a second is short");
        let mut waiting = [PollFd::new(self.told.as_fd(), PollFlags::POLLIN)];
        poll(&mut waiting, breath).expect("a descriptor can be waited for");
        // Nothing to read means that the breath is over.
        drop(self.told.read_events());
    }
}

/// Asks `probe` now, and again whenever something in that folder has changed, until there is an
/// answer.
pub fn wait_for_change<T>(
    folder: &Path,
    most: Duration,
    what: &str,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let changes = Changes::of(folder);
    let deadline = Instant::now() + most;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "{}: {what} in time",
            folder.display()
        );
        changes.wait();
    }
}
