//! Runs work in another network namespace.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use nix::sched::{CloneFlags, setns};
use thiserror::Error;

use crate::netns::NetNs;
use crate::user_ns::UserNs;

/// The thread that enters a network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetnsEntry {
    /// A new thread for each piece of work, which ends with it. The caller stays where it is.
    #[default]
    NewThread,
    /// The calling thread, which never leaves the namespace again. It may also get a mount
    /// namespace of its own. For a process that works in one namespace and exits: this saves a
    /// thread.
    CallingThread,
}

/// Why work could not run in a namespace.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnterError {
    /// The system refused another thread.
    #[error("cannot start a thread for the network namespace")]
    Thread(#[source] io::Error),
    /// The kernel refused: not a network namespace, or no permission (`CAP_SYS_ADMIN`).
    #[error("cannot enter network namespace `{path}`")]
    Refused {
        /// The path by which it was opened.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The kernel did not return the user namespace that owns it.
    #[error("cannot determine the user namespace that owns network namespace `{path}`")]
    Owner {
        /// The path by which it was opened.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The work panicked.
    #[error("panicked in network namespace `{path}`")]
    Panicked {
        /// The path by which it was opened.
        path: String,
    },
}

thread_local! {
    /// The namespace that this thread entered with [`NetnsEntry::CallingThread`].
    static ENTERED: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

impl NetNs {
    /// Selects the thread that works in this namespace: with [`NetnsEntry::CallingThread`] the
    /// calling thread enters it now, and later calls of [`run`](Self::run) start no thread.
    pub fn enter(&self, entry: NetnsEntry) -> Result<(), EnterError> {
        if entry == NetnsEntry::CallingThread {
            self.set_for_thread()?;
            ENTERED.set(Some(self.id()));
        }
        Ok(())
    }

    /// Runs the work in this namespace and returns its result. Programs that the work starts run in
    /// the namespace too.
    ///
    /// If the caller is in this namespace already, no permission is needed: an init container has
    /// none.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, EnterError> {
        let panicked = |_panic| EnterError::Panicked {
            path: self.path().display().to_string(),
        };
        if ENTERED.get() == Some(self.id()) {
            // As on a thread of its own, nobody sees again what the work left unfinished.
            return catch_unwind(AssertUnwindSafe(work)).map_err(panicked);
        }
        let in_namespace = || {
            if !Self::current().is_ok_and(|current| current.is_same(self)) {
                self.set_for_thread()?;
            }
            Ok(work())
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, in_namespace)
                .map_err(EnterError::Thread)?;
            thread.join().map_err(panicked).flatten()
        })
    }

    fn set_for_thread(&self) -> Result<(), EnterError> {
        setns(self.file(), CloneFlags::CLONE_NEWNET).map_err(|errno| EnterError::Refused {
            path: self.path().display().to_string(),
            source: errno.into(),
        })
    }

    /// The user namespace that owns this namespace, if it is not the caller's.
    pub(crate) fn user_ns(&self) -> Result<Option<UserNs>, EnterError> {
        UserNs::owning(self.file()).map_err(|source| EnterError::Owner {
            path: self.path().display().to_string(),
            source,
        })
    }
}
