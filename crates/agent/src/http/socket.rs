//! The agent's Unix socket: only its owner can open it at any time, one agent listens on it, and a
//! socket that is removed or replaced is created again.

mod lock;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_agent_api::{Client, SOCKET_FILE, path};
use thiserror::Error;
use tokio::time::sleep;
use tracing::{info, warn};

use self::lock::{Lock, LockState};
use super::limits::Limits;
use super::places::FreePlaces;
use super::routes::{Agent, Listener, Routes};
use super::server;
use crate::error_chain;
use crate::readiness::{Check, CheckState};

/// How long another agent may take to answer a request. One that takes longer does not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long another agent that holds the lock may answer nothing, for example while it starts.
const TAKE_OVER_AFTER: Duration = Duration::from_secs(5);

/// How long to wait for another agent that answers to end.
const WAIT_FOR_END: Duration = Duration::from_secs(10);

/// The time between two checks of the socket.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The only users who may connect: root, and programs that bypass permissions.
const MODE: u32 = 0o600;

/// The socket cannot be created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// A system call failed.
    #[error("socket `{}`: cannot {action}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What failed.
        action: &'static str,
        /// The error.
        source: io::Error,
    },
    /// Another agent listens on it.
    #[error("socket `{}`: another agent listens on it", .0.display())]
    InUse(PathBuf),
    /// Another agent took over from this one, which did not answer.
    #[error("socket `{}`: another agent took over, because this one did not answer", .0.display())]
    TakenOver(PathBuf),
    /// The path is something else than a socket.
    #[error("socket `{}`: it exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
}

/// A listening socket, which this process owns.
#[derive(Debug)]
pub(crate) struct Socket {
    run_dir: PathBuf,
    path: PathBuf,
    lock: Lock,
    listener: UnixListener,
    /// The device and inode of its file.
    file: (u64, u64),
}

impl Socket {
    /// Listens in that directory, which is created if it does not exist.
    ///
    /// If another agent answers there, waits for its end, at most ten seconds. One that does not answer
    /// is replaced.
    pub(crate) fn listen(run_dir: &Path) -> Result<Self, ListenError> {
        let path = run_dir.join(SOCKET_FILE);
        create_directory(run_dir, &path)?;
        refuse_other_file(&path)?;
        let lock = claim(run_dir, &path)?;
        let (listener, file) = bind(&path)?;
        let run_dir = run_dir.to_owned();
        Ok(Self {
            run_dir,
            path,
            lock,
            listener,
            file,
        })
    }

    /// Serves. Returns when another agent has taken over.
    pub(crate) async fn serve(mut self, limits: Limits, agent: Arc<Agent>) -> ListenError {
        let places = FreePlaces::new(limits.socket);
        loop {
            let listener = self.listener.try_clone().and_then(tokio_listener);
            let why = match listener {
                Ok(listener) => {
                    set(&agent, CheckState::ready("the socket answers"));
                    let routes = Routes {
                        listener: Listener::Socket,
                        agent: Arc::clone(&agent),
                    };
                    let served = server::serve(listener, places.clone(), limits.clone(), routes);
                    tokio::select! {
                        never = served => match never {},
                        why = self.changed() => why,
                    }
                }
                Err(error) => error.to_string(),
            };
            warn!(
                "socket `{}`: {why}; it is created again",
                self.path.display()
            );
            set(&agent, CheckState::not_ready(why));
            while let Err(error) = self.create_again() {
                if matches!(error, ListenError::TakenOver(_)) {
                    return error;
                }
                set(&agent, CheckState::not_ready(error_chain(&error)));
                sleep(CHECK_INTERVAL).await;
            }
        }
    }

    /// Waits until the path does not lead to this socket any more, and returns why.
    async fn changed(&self) -> String {
        loop {
            sleep(CHECK_INTERVAL).await;
            if let Some(why) = self.difference() {
                return why;
            }
        }
    }

    fn difference(&self) -> Option<String> {
        match self.lock.state() {
            Ok(LockState::Held) => {}
            Ok(LockState::Removed) => return Some("its lock was removed".to_owned()),
            Ok(LockState::Replaced) => return Some("its lock was replaced".to_owned()),
            Err(error) => return Some(format!("its lock cannot be read: {error}")),
        }
        match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) != self.file => {
                Some("another file replaced it".to_owned())
            }
            Ok(found) if found.mode() & 0o7777 != MODE => Some("its mode was changed".to_owned()),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("it was removed".to_owned())
            }
            Err(error) => Some(format!("it cannot be read: {error}")),
        }
    }

    /// Listens again, unless another process has taken the lock.
    fn create_again(&mut self) -> Result<(), ListenError> {
        let failed = |source| ListenError::Io {
            path: self.path.clone(),
            action: "lock",
            source,
        };
        create_directory(&self.run_dir, &self.path)?;
        if self.lock.state().map_err(failed)? != LockState::Held {
            let lock = Lock::try_take(&self.run_dir).map_err(failed)?;
            self.lock = lock.ok_or_else(|| ListenError::TakenOver(self.path.clone()))?;
        }
        refuse_other_file(&self.path)?;
        (self.listener, self.file) = bind(&self.path)?;
        Ok(())
    }
}

fn set(agent: &Agent, state: CheckState) {
    agent.readiness.set(Check::Socket, state);
}

fn tokio_listener(listener: UnixListener) -> io::Result<tokio::net::UnixListener> {
    tokio::net::UnixListener::from_std(listener)
}

fn create_directory(run_dir: &Path, path: &Path) -> Result<(), ListenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(run_dir)
        .map_err(|source| ListenError::Io {
            path: path.to_owned(),
            action: "create its directory",
            source,
        })
}

/// Takes the lock. A file without a lock is stale; a lock without an answer belongs to an agent that
/// hangs; an answer without a lock belongs to an agent of an earlier version.
fn claim(run_dir: &Path, path: &Path) -> Result<Lock, ListenError> {
    let failed = |source| ListenError::Io {
        path: path.to_owned(),
        action: "lock",
        source,
    };
    let start = Instant::now();
    let mut last_answer = start;
    let mut waits = false;
    loop {
        let lock = Lock::try_take(run_dir).map_err(failed)?;
        let answered = answers(path);
        if answered {
            last_answer = Instant::now();
            if !waits {
                info!(
                    "socket `{}`: waiting for another agent to end",
                    path.display()
                );
            }
            waits = true;
        }
        match lock {
            Some(lock) if !answered => return Ok(lock),
            _ if answered && start.elapsed() >= WAIT_FOR_END => {
                return Err(ListenError::InUse(path.to_owned()));
            }
            None if last_answer.elapsed() >= TAKE_OVER_AFTER => {
                warn!(
                    "socket `{}`: the agent that holds its lock does not answer; this one takes over",
                    path.display()
                );
                return Lock::take_over(run_dir).map_err(failed);
            }
            _ => {}
        }
        thread::sleep(Duration::from_millis(250));
    }
}

/// Whether an agent answers on the socket in time.
fn answers(socket: &Path) -> bool {
    Client::connect(socket, ANSWER_TIMEOUT)
        .and_then(|mut client| {
            client.get(path::HEALTHZ)?;
            client.receive()
        })
        .is_ok()
}

fn bind(path: &Path) -> Result<(UnixListener, (u64, u64)), ListenError> {
    bind_privately(path, |path| {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    })
}

/// A socket at the path, and the device and inode of its file. The directory is created if it does not
/// exist.
///
/// It is bound and gets its mode in a new private directory, and is then moved to its path. So no other
/// user can open it at any time, and the path always leads to a socket, the old or the new one.
pub(crate) fn bind_privately<L>(
    path: &Path,
    bind: impl FnOnce(&Path) -> io::Result<L>,
) -> Result<(L, (u64, u64)), ListenError> {
    let failed = |action| {
        move |source| ListenError::Io {
            path: path.to_owned(),
            action,
            source,
        }
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    create_directory(directory, path)?;
    refuse_other_file(path)?;
    let private = tempfile::Builder::new()
        .prefix(".agent")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(directory)
        .map_err(failed("create a directory next to it"))?;
    let fresh = private.path().join(SOCKET_FILE);
    let listener = bind(&fresh).map_err(failed("bind"))?;
    fs::set_permissions(&fresh, Permissions::from_mode(MODE)).map_err(failed("set its mode"))?;
    let file = fs::symlink_metadata(&fresh).map_err(failed("read its file"))?;
    fs::rename(&fresh, path).map_err(failed("move it to its path"))?;
    Ok((listener, (file.dev(), file.ino())))
}

fn refuse_other_file(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(ListenError::NotASocket(path.to_owned()))
        }
        _ => Ok(()),
    }
}
