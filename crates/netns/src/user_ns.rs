//! Working as one who belongs to another user namespace: that which owns a pod's network namespace
//! (`hostUsers: false`).
//!
//! `x_tables`' owner match takes users and groups as the owning user namespace counts them, and only
//! from a writer who is in it (`owner_check`, `net/netfilter/xt_owner.c`). A process with more than
//! one thread cannot enter a user namespace (`userns_install`, `kernel/user_namespace.c`), and who
//! entered never comes back: so a child of one thread enters, does the one thing, and ends.
#![expect(
    unsafe_code,
    reason = "fork, and what follows it, cannot be checked by the compiler"
)]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgid, setgroups, setuid};

mod request {
    //! The request of `linux/nsfs.h`.
    nix::ioctl_none!(
        /// `NS_GET_USERNS`: a new descriptor of the user namespace that owns a namespace.
        get_userns,
        0xb7,
        1
    );
}

/// A user namespace that is not the caller's, and a network namespace that it owns.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    user_ns: Arc<File>,
    netns: RawFd,
}

impl Owner {
    /// Who owns the network namespace; nobody where that is the caller's own user namespace, or one
    /// around it, which cannot be entered.
    ///
    /// The network namespace must stay open as long as this value is used.
    pub(crate) fn of(netns: &File) -> io::Result<Option<Self>> {
        // SAFETY: the request takes no argument and touches no memory of ours; `netns` is open.
        let descriptor = match unsafe { request::get_userns(netns.as_raw_fd()) } {
            // Outside of what the caller can see, or a kernel before 4.9.
            Err(Errno::EPERM | Errno::ENOTTY) => return Ok(None),
            other => other?,
        };
        // SAFETY: the kernel made this descriptor for us a moment ago, and nobody else knows it.
        let user_ns = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        if id(user_ns.metadata()?) == id(fs::metadata("/proc/thread-self/ns/user")?) {
            return Ok(None);
        }
        Ok(Some(Self {
            user_ns: Arc::new(user_ns),
            netns: netns.as_raw_fd(),
        }))
    }

    /// Sends one datagram as one who belongs to the user namespace.
    pub(crate) fn send(&self, socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
        let sent = || -> nix::Result<()> {
            setns(&*self.user_ns, CloneFlags::CLONE_NEWUSER)?;
            send(socket.as_raw_fd(), bytes, MsgFlags::empty()).map(|_size| ())
        };
        // SAFETY: until it ends the child makes system calls alone, on memory that was there before:
        // it takes no lock that another thread could have held, and allocates nothing.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => outcome_of(child),
            ForkResult::Child => {
                let code = sent().err().unwrap_or(Errno::UnknownErrno);
                // SAFETY: it ends the child at once, without what the parent left to do at its end.
                unsafe { libc::_exit(code as i32) }
            }
        }
    }

    /// Lets a program run as root of the user namespace.
    ///
    /// It finds the network namespace at [`lock`](Self::lock).
    pub(crate) fn admit(&self, command: &mut Command) {
        let owner = self.clone();
        let enter = move || {
            setns(&*owner.user_ns, CloneFlags::CLONE_NEWUSER)?;
            // Not allowed everywhere, and then without effect.
            let _outcome = setgroups(&[]);
            setgid(Gid::from_raw(0))?;
            setuid(Uid::from_raw(0))?;
            // SAFETY: whoever made this value keeps the network namespace open.
            let netns = unsafe { BorrowedFd::borrow_raw(owner.netns) };
            fcntl(netns, FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(())
        };
        // SAFETY: between fork and exec it makes system calls alone.
        unsafe {
            command.pre_exec(enter);
        }
    }

    /// A file of the network namespace alone, where an admitted program can open it.
    pub(crate) fn lock(&self) -> String {
        format!("/proc/self/fd/{}", self.netns)
    }
}

/// What a child that ended said with its exit code: the number of its error.
fn outcome_of(child: Pid) -> io::Result<()> {
    loop {
        return match waitpid(child, None) {
            Err(Errno::EINTR) => continue,
            // Who ignores the ends of children is told of none; the kernel's answers tell the rest.
            Ok(WaitStatus::Exited(_, 0)) | Err(Errno::ECHILD) => Ok(()),
            Ok(WaitStatus::Exited(_, code)) => Err(io::Error::from_raw_os_error(code)),
            Ok(status) => Err(io::Error::other(format!(
                "the process that entered the user namespace ended: {status:?}"
            ))),
            Err(errno) => Err(errno.into()),
        };
    }
}
