//! Sends queries and batches to `nf_tables` over a netlink socket of the calling thread's network
//! namespace.

use std::io;
use std::os::fd::AsFd;

use mesh_cni_nftables::{Answer, Content, Dump, Encoded, Malformed, Query, Refusal, answers};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{MsgFlags, setsockopt, sockopt::SndBufForce};
use thiserror::Error;

use crate::user_ns::UserNs;

/// More than the kernel puts into one datagram, in bytes (`NLMSG_GOODSIZE` in `linux/netlink.h` is
/// at most 32 KiB).
const DATAGRAM: usize = 64 * 1024;
/// More than an acknowledgement without the acknowledged message, with the kernel's text, in bytes.
const ACKNOWLEDGEMENT: usize = 4 * 1024;
/// About a third of the datagram size that a socket accepts by default, in bytes.
const LARGE_BATCH: usize = 64 * 1024;

/// A socket in the network namespace of the thread that opened it.
pub(crate) struct Nfnetlink<'user_ns> {
    socket: Socket,
    /// The user namespace from which batches are sent, if it is not the caller's.
    user_ns: Option<&'user_ns UserNs>,
    sequence: u32,
    buffer: Vec<u8>,
}

/// A query that failed.
#[derive(Debug, Error)]
pub(crate) enum QueryError {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the kernel refused")]
    Refused(Refusal),
    /// The rules changed while they were read.
    #[error("the rules changed")]
    Interrupted,
}

/// A batch that was not committed: it changed nothing.
#[derive(Debug)]
pub(crate) enum CommitError {
    Socket(io::Error),
    Malformed(Malformed),
    /// The kernel refused the message with that sequence number.
    Refused {
        sequence: u32,
        refusal: Refusal,
    },
    /// The kernel did not acknowledge the last message.
    NotConfirmed,
}

impl<'user_ns> Nfnetlink<'user_ns> {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_NETFILTER)?;
        // The kernel chooses the address. Then only the kernel can send to this socket.
        socket.connect(&SocketAddr::new(0, 0))?;
        // Errors come without the refused message, and with a text.
        socket.set_cap_ack(true)?;
        socket.set_ext_ack(true)?;
        Ok(Self {
            socket,
            user_ns: None,
            sequence: 0,
            buffer: Vec::new(),
        })
    }

    /// Sends batches from that user namespace.
    pub(crate) fn writing_from(self, user_ns: Option<&'user_ns UserNs>) -> Self {
        Self { user_ns, ..self }
    }

    /// The generation of the rules: every commit increments it.
    pub(crate) fn generation(&mut self) -> Result<u32, QueryError> {
        let mut generation = None;
        self.request(&Query::Generation, |content| {
            if let Content::Generation(number) = content {
                generation = Some(number);
            }
        })?;
        let what = "NFTA_GEN_ID";
        generation.ok_or(QueryError::Malformed(Malformed::Missing { what }))
    }

    /// Whether the object of the query exists.
    pub(crate) fn check(&mut self, query: &Query) -> Result<(), QueryError> {
        self.request(query, |_content| {})
    }

    /// Adds the answers to a dump.
    pub(crate) fn dump(&mut self, query: &Query, to: &mut Dump) -> Result<(), QueryError> {
        self.request(query, |content| to.take(content))
    }

    /// Commits a batch, all of it or nothing.
    ///
    /// The kernel processes it during the send, so all answers are available afterwards.
    pub(crate) fn commit(&mut self, batch: &Encoded) -> Result<(), CommitError> {
        let bytes = batch.bytes();
        if bytes.len() > LARGE_BATCH {
            // If this is not permitted, the datagram may still fit.
            let _outcome = setsockopt(&self.socket.as_fd(), SndBufForce, &(2 * bytes.len()));
        }
        self.send(bytes).map_err(CommitError::Socket)?;
        let mut refused = None;
        let mut acknowledged = false;
        while self.receive_available().map_err(CommitError::Socket)? {
            for answer in answers(&self.buffer) {
                let Answer {
                    sequence, content, ..
                } = answer.map_err(CommitError::Malformed)?;
                match content {
                    Content::Acknowledged if sequence == batch.last() => acknowledged = true,
                    // The first error is the cause, the others may be its consequence.
                    Content::Refused(refusal) if refused.is_none() => {
                        refused = Some(CommitError::Refused { sequence, refusal });
                    }
                    _ => {}
                }
            }
        }
        match (refused, acknowledged) {
            (Some(refused), _) => Err(refused),
            (None, true) => Ok(()),
            (None, false) => Err(CommitError::NotConfirmed),
        }
    }

    /// Sends a query and calls `each` with every part of the answer. If this fails, the parts are
    /// incomplete.
    pub(crate) fn request(
        &mut self,
        query: &Query,
        mut each: impl FnMut(Content),
    ) -> Result<(), QueryError> {
        self.sequence += 1;
        self.socket.send(&query.encode(self.sequence), 0)?;
        let mut interrupted = false;
        loop {
            self.receive(0, DATAGRAM)?;
            let mut over = false;
            for answer in answers(&self.buffer) {
                let answer = answer?;
                if answer.sequence != self.sequence {
                    continue;
                }
                interrupted |= answer.interrupted;
                match answer.content {
                    Content::Done | Content::Acknowledged => over = true,
                    Content::Refused(refusal) => return Err(QueryError::Refused(refusal)),
                    content => {
                        over |= !query.is_dump();
                        each(content);
                    }
                }
            }
            match (over, interrupted) {
                (true, true) => return Err(QueryError::Interrupted),
                (true, false) => return Ok(()),
                (false, _) => {}
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self.user_ns {
            None => self.socket.send(bytes, 0).map(|_size| ()),
            Some(user_ns) => user_ns.send(self.socket.as_fd(), bytes),
        }
    }

    /// Receives an answer into the buffer without waiting. Returns whether there was one.
    fn receive_available(&mut self) -> io::Result<bool> {
        match self.receive(MsgFlags::MSG_DONTWAIT.bits(), ACKNOWLEDGEMENT) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Receives a datagram of at most that size. The system provides reserved memory only as far as it
    /// is used.
    fn receive(&mut self, flags: i32, size: usize) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.reserve(size);
        self.socket.recv(&mut self.buffer, flags).map(|_size| ())
    }
}
