//! Acts as a process of another user namespace: the one that owns a pod's network namespace
//! (`hostUsers: false`).
//!
//! The owner match of `x_tables` reads users and groups as numbers of the owning user namespace, and
//! accepts them only from a writer inside it (`owner_check`, `net/netfilter/xt_owner.c`). A process
//! with more than one thread cannot enter a user namespace (`userns_install`,
//! `kernel/user_namespace.c`), and none can leave it. So a child with one thread enters, does its
//! work and exits.
#![expect(
    unsafe_code,
    reason = "the compiler cannot check fork and the code after it"
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
    //! Requests of `linux/nsfs.h`.

    /// `NSIO`.
    const NSIO: u8 = 0xb7;

    nix::ioctl_none!(
        /// `NS_GET_USERNS`: a new descriptor of the user namespace that owns a namespace.
        get_userns,
        NSIO,
        1
    );
}

/// A user namespace that is not the caller's, and a network namespace that it owns.
#[derive(Clone, Debug)]
pub(crate) struct UserNs {
    file: Arc<File>,
    netns: RawFd,
}

impl UserNs {
    /// The user namespace that owns the network namespace. `None` if that is the caller's own, or
    /// one around it, which cannot be entered.
    ///
    /// The network namespace must stay open as long as this value is used.
    pub(crate) fn owning(netns: &File) -> io::Result<Option<Self>> {
        // SAFETY: the request takes no argument and touches no memory of ours; `netns` is open.
        let descriptor = match unsafe { request::get_userns(netns.as_raw_fd()) } {
            // Not visible to the caller, or a kernel before 4.9.
            Err(Errno::EPERM | Errno::ENOTTY) => return Ok(None),
            other => other?,
        };
        // SAFETY: the kernel just created this descriptor, and nothing else uses it.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        if id(file.metadata()?) == id(fs::metadata("/proc/thread-self/ns/user")?) {
            return Ok(None);
        }
        Ok(Some(Self {
            file: Arc::new(file),
            netns: netns.as_raw_fd(),
        }))
    }

    /// Sends one datagram from a process in the user namespace.
    pub(crate) fn send(&self, socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
        let enter_and_send = || -> nix::Result<()> {
            setns(&*self.file, CloneFlags::CLONE_NEWUSER)?;
            send(socket.as_raw_fd(), bytes, MsgFlags::empty()).map(|_size| ())
        };
        // SAFETY: until it exits the child only makes system calls, on memory that existed before:
        // it takes no lock that another thread could hold, and allocates nothing.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => wait_for(child),
            ForkResult::Child => {
                let code = enter_and_send().err().unwrap_or(Errno::UnknownErrno);
                // SAFETY: it exits at once, without the exit handlers of the parent.
                unsafe { libc::_exit(code as i32) }
            }
        }
    }

    /// Makes a program run as root of the user namespace.
    ///
    /// The program can open the network namespace at [`lock_file`](Self::lock_file).
    pub(crate) fn enter_before_exec(&self, command: &mut Command) {
        let user_ns = self.clone();
        let enter = move || {
            setns(&*user_ns.file, CloneFlags::CLONE_NEWUSER)?;
            // Not permitted in every user namespace; then it is not necessary either.
            let _outcome = setgroups(&[]);
            setgid(Gid::from_raw(0))?;
            setuid(Uid::from_raw(0))?;
            // SAFETY: the creator of this value keeps the network namespace open.
            let netns = unsafe { BorrowedFd::borrow_raw(user_ns.netns) };
            fcntl(netns, FcntlArg::F_SETFD(FdFlag::empty()))?;
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
        format!("/proc/self/fd/{}", self.netns)
    }
}

/// Waits for a child whose exit code is an errno.
fn wait_for(child: Pid) -> io::Result<()> {
    loop {
        return match waitpid(child, None) {
            Err(Errno::EINTR) => continue,
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
