//! Acts as a process of another user namespace: the one that owns a pod's network namespace
//! (`hostUsers: false`).
//!
//! The owner match of `x_tables` reads users and groups as numbers of the owning user namespace, and
//! accepts them only from a writer inside it (`owner_check`, `net/netfilter/xt_owner.c`). A process
//! with more than one thread cannot enter a user namespace (`userns_install`,
//! `kernel/user_namespace.c`), and none can leave it. So a child with one thread enters, does its
//! work and exits. It is not dumpable, so that no process of the user namespace can trace it, and
//! it is killed at a deadline.
#![expect(
    unsafe_code,
    reason = "the compiler cannot check fork and the code after it"
)]

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgid, setgroups, setuid};

/// The longest that one datagram may take. The kernel replaces a whole table in a fraction of it.
const DEADLINE: Duration = Duration::from_secs(10);

/// The longest pause between two looks at a child.
const MAX_PAUSE: Duration = Duration::from_millis(10);

mod request {
    //! Requests of `linux/nsfs.h`.

    /// `NSIO`.
    const NSIO: u8 = 0xb7;

    nix::ioctl_none!(
        /// `NS_GET_USERNS`: a new descriptor of the user namespace that owns a namespace.
        get_userns,
        NSIO,
        1
    );

    nix::ioctl_none!(
        /// `NS_GET_PARENT`: a new descriptor of the user namespace in which one was created.
        get_parent,
        NSIO,
        2
    );

    nix::ioctl_none!(
        /// `NS_GET_NSTYPE`: the kind of a namespace, as its `CLONE_NEW*`.
        get_kind,
        NSIO,
        3
    );
}

/// The user namespace that owns a network namespace, compared with the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It is the caller's.
    Same,
    /// It was created by a process in the caller's.
    Child,
    /// Any other.
    Other,
}

/// A user namespace that is not the caller's, and a network namespace that it owns.
#[derive(Clone, Debug)]
pub(crate) struct UserNs {
    file: Arc<File>,
    netns: Arc<File>,
}

impl Owner {
    /// Compares the owner of a network namespace with the caller's user namespace.
    pub(crate) fn of(netns: &File) -> io::Result<Self> {
        let own = own_id()?;
        let owner = match owning(netns) {
            // Neither the caller's nor one inside it.
            Err(Errno::EPERM) => return Ok(Self::Other),
            owner => owner?,
        };
        if id(&owner.metadata()?) == own {
            return Ok(Self::Same);
        }
        // SAFETY: the request takes no argument and touches no memory of ours; `owner` is open.
        let parent = descriptor(unsafe { request::get_parent(owner.as_raw_fd()) })?;
        let is_child = id(&parent.metadata()?) == own;
        Ok(if is_child { Self::Child } else { Self::Other })
    }
}

impl UserNs {
    /// The user namespace that owns the network namespace. `None` if that is the caller's own, or
    /// one around it, which cannot be entered.
    pub(crate) fn owning(netns: &File) -> io::Result<Option<Self>> {
        let file = match owning(netns) {
            // Not visible to the caller, or a kernel before 4.9.
            Err(Errno::EPERM | Errno::ENOTTY) => return Ok(None),
            file => file?,
        };
        if id(&file.metadata()?) == own_id()? {
            return Ok(None);
        }
        Ok(Some(Self {
            file: Arc::new(file),
            netns: Arc::new(netns.try_clone()?),
        }))
    }

    /// Sends one datagram from a process in the user namespace.
    pub(crate) fn send(&self, socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
        self.send_within(socket, bytes, DEADLINE)
    }

    fn send_within(
        &self,
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        deadline: Duration,
    ) -> io::Result<()> {
        let enter_and_send = || -> nix::Result<()> {
            // First, since inside it any process with the user namespace's capabilities could read
            // the memory that the child shares with its parent.
            set_dumpable(false)?;
            setns(&*self.file, CloneFlags::CLONE_NEWUSER)?;
            send(socket.as_raw_fd(), bytes, MsgFlags::empty()).map(|_size| ())
        };
        // SAFETY: until it exits the child only makes system calls, on memory that existed before:
        // it takes no lock that another thread could hold, and allocates nothing.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => wait_for(child, deadline),
            ForkResult::Child => {
                let code = enter_and_send().err().unwrap_or(Errno::UnknownErrno);
                // SAFETY: it exits at once, without the exit handlers of the parent.
                unsafe { libc::_exit(code as i32) }
            }
        }
    }

    /// Makes a program run as root of the user namespace. It is dumpable from its start on, as every
    /// program is; [`RunLimits`](crate::RunLimits) sets its deadline.
    ///
    /// The program can open the network namespace at [`lock_file`](Self::lock_file).
    pub(crate) fn enter_before_exec(&self, command: &mut Command) {
        let user_ns = self.clone();
        let enter = move || {
            set_dumpable(false)?;
            setns(&*user_ns.file, CloneFlags::CLONE_NEWUSER)?;
            // Not permitted in every user namespace; then it is not necessary either.
            let _outcome = setgroups(&[]);
            setgid(Gid::from_raw(0))?;
            setuid(Uid::from_raw(0))?;
            fcntl(user_ns.netns.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(())
        };
        // SAFETY: between fork and exec it only makes system calls.
        unsafe {
            command.pre_exec(enter);
        }
    }

    /// A file that only this network namespace has, at a path that a program in the user namespace
    /// can open.
    pub(crate) fn lock_file(&self) -> String {
        format!("/proc/self/fd/{}", self.netns.as_raw_fd())
    }
}

/// The user namespace that owns a namespace.
fn owning(namespace: &File) -> nix::Result<File> {
    // SAFETY: the request takes no argument and touches no memory of ours; `namespace` is open.
    descriptor(unsafe { request::get_userns(namespace.as_raw_fd()) })
}

/// The kind of a namespace, as its `CLONE_NEW*`.
pub(crate) fn kind(namespace: &File) -> nix::Result<i32> {
    // SAFETY: the request has no argument, and the kernel checks what the descriptor is.
    unsafe { request::get_kind(namespace.as_raw_fd()) }
}

/// Takes the descriptor that a request returned.
fn descriptor(returned: nix::Result<i32>) -> nix::Result<File> {
    // SAFETY: the kernel just created this descriptor, and nothing else uses it.
    returned.map(|descriptor| File::from(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// The identity of a namespace.
fn id(namespace: &Metadata) -> (u64, u64) {
    (namespace.dev(), namespace.ino())
}

/// The identity of the calling thread's user namespace.
fn own_id() -> io::Result<(u64, u64)> {
    fs::metadata("/proc/thread-self/ns/user").map(|metadata| id(&metadata))
}

/// Waits for a child whose exit code is an errno, and kills it at the deadline.
fn wait_for(child: Pid, deadline: Duration) -> io::Result<()> {
    let end = Instant::now() + deadline;
    let mut pause = Duration::from_micros(50);
    loop {
        return match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::EINTR) => continue,
            Ok(WaitStatus::StillAlive) if Instant::now() < end => {
                sleep(pause);
                pause = MAX_PAUSE.min(pause * 2);
                continue;
            }
            Ok(WaitStatus::StillAlive) => {
                // It fails only for a child that ended in the meantime.
                let _killed = kill(child, Signal::SIGKILL);
                let _status = waitpid(child, None);
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!(
                        "the process that entered the user namespace took longer than {} s",
                        deadline.as_secs()
                    ),
                ))
            }
            // A process that ignores SIGCHLD gets no exit code; the kernel's answers to the
            // datagram contain the rest.
            Ok(WaitStatus::Exited(_, 0)) | Err(Errno::ECHILD) => Ok(()),
            Ok(WaitStatus::Exited(_, code)) => Err(io::Error::from_raw_os_error(code)),
            Ok(status) => Err(io::Error::other(format!(
                "the process that entered the user namespace failed: {status:?}"
            ))),
            Err(errno) => Err(errno.into()),
        };
    }
}

#[cfg(test)]
mod tests;
