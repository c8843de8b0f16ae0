//! Doing something in another network namespace, on a thread that is made for it and ends there.

use std::io;
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

impl NetNs {
    /// Does the work in this namespace and gives back what it gave back.
    ///
    /// Programs that the work starts run in the namespace too. The thread ends with the work. Where
    /// the caller is in this namespace already, no right to enter it is needed: an init container
    /// has none.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, EnterError> {
        let path = || self.path().display().to_string();
        let in_namespace = || {
            if !Self::current().is_ok_and(|current| current.is_same(self)) {
                let entered = setns(self.file(), CloneFlags::CLONE_NEWNET);
                entered.map_err(|errno| EnterError::Refused {
                    path: path(),
                    source: errno.into(),
                })?;
            }
            Ok(work())
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, in_namespace)
                .map_err(EnterError::Thread)?;
            let broken_off = |_panic| EnterError::Panicked { path: path() };
            thread.join().map_err(broken_off).flatten()
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
