//! Doing something in another network namespace, on a thread that is made for it and ends there; or
//! going there for good.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use nix::sched::{CloneFlags, setns};
use thiserror::Error;

use crate::handle::NetNs;
use crate::user_ns::Owner;

/// A namespace could not be entered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnterError {
    /// No thread could be made.
    #[error("cannot make a thread for the network namespace")]
    Thread(#[source] io::Error),
    /// The kernel refused: not a network namespace, or not allowed (`CAP_SYS_ADMIN`).
    #[error("cannot enter network namespace `{path}`")]
    Refused {
        /// The path by which it was opened.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel does not say which user namespace owns it, or the answer cannot be used.
    #[error("cannot tell which user namespace owns network namespace `{path}`")]
    Owner {
        /// The path by which it was opened.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was done there panicked.
    #[error("the work in network namespace `{path}` was broken off by a panic")]
    Panicked {
        /// The path by which it was opened.
        path: String,
    },
}

thread_local! {
    /// The namespace that this thread entered for good.
    static HOME: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

impl NetNs {
    /// Moves the calling thread into this namespace, for as long as it lives.
    ///
    /// For a process that does one thing in one namespace and ends: [`run`](Self::run) in this
    /// namespace makes no thread then. Work that starts programs may take a mount namespace of its own
    /// for the thread. A thread that lives longer than that must not go: it would do everything else
    /// there too.
    pub fn enter_for_good(&self) -> Result<(), EnterError> {
        self.enter()?;
        HOME.set(Some(self.id()));
        Ok(())
    }

    /// Does the work in this namespace and gives back what it gave back.
    ///
    /// Programs that the work starts run in the namespace too. The thread ends with the work. Where
    /// the caller is in this namespace already, no right to enter it is needed: an init container
    /// has none.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, EnterError> {
        let broken_off = |_panic| EnterError::Panicked {
            path: self.path().display().to_string(),
        };
        if HOME.get() == Some(self.id()) {
            // As with a thread of its own, nothing that the work left half done is seen again.
            return catch_unwind(AssertUnwindSafe(work)).map_err(broken_off);
        }
        let in_namespace = || {
            if !Self::current().is_ok_and(|current| current.is_same(self)) {
                self.enter()?;
            }
            Ok(work())
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, in_namespace)
                .map_err(EnterError::Thread)?;
            thread.join().map_err(broken_off).flatten()
        })
    }

    fn enter(&self) -> Result<(), EnterError> {
        let entered = setns(self.file(), CloneFlags::CLONE_NEWNET);
        entered.map_err(|errno| EnterError::Refused {
            path: self.path().display().to_string(),
            source: errno.into(),
        })
    }

    /// The user namespace that owns it, where that is not the caller's.
    pub(crate) fn owner(&self) -> Result<Option<Owner>, EnterError> {
        Owner::of(self.file()).map_err(|source| EnterError::Owner {
            path: self.path().display().to_string(),
            source,
        })
    }
}
