//! Talking to `nf_tables`: questions and batches over a netlink socket of the calling thread's
//! network namespace.

use std::io;
use std::os::fd::AsFd;

use mesh_cni_nftables::{Answer, Content, Dump, Encoded, Malformed, Query, Refusal, answers};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{MsgFlags, setsockopt, sockopt::SndBufForce};
use thiserror::Error;

use crate::user_ns::Owner;

/// Enough for every answer in one datagram (`NLMSG_GOODSIZE` is at most 32 KiB).
const DATAGRAM: usize = 64 * 1024;
/// What a socket takes in one datagram unless it is told otherwise is about three times that.
const LARGE_BATCH: usize = 64 * 1024;

/// A socket in the network namespace of the thread that opened it.
pub(crate) struct Nfnetlink<'owner> {
    socket: Socket,
    /// The user namespace from which batches are sent, where that is not the caller's.
    owner: Option<&'owner Owner>,
    sequence: u32,
    buffer: Vec<u8>,
}

/// A question that was not answered.
#[derive(Debug, Error)]
pub(crate) enum QueryError {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the kernel refused")]
    Refused(Refusal),
    /// The rules changed while they were told.
    #[error("the rules changed")]
    Interrupted,
}

/// A batch that was not carried out; nothing of it was.
#[derive(Debug)]
pub(crate) enum CommitError {
    Socket(io::Error),
    Malformed(Malformed),
    /// The kernel refused the message of that sequence number.
    Refused {
        sequence: u32,
        refusal: Refusal,
    },
    /// The kernel said nothing to the last message.
    Silent,
}

impl<'owner> Nfnetlink<'owner> {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Refusals come without the message that they are about, and with a text.
        socket.set_cap_ack(true)?;
        socket.set_ext_ack(true)?;
        Ok(Self {
            socket,
            owner: None,
            sequence: 0,
            buffer: Vec::with_capacity(DATAGRAM),
        })
    }

    /// The same, but batches are sent by one who belongs to that user namespace.
    pub(crate) fn written_by(self, owner: Option<&'owner Owner>) -> Self {
        Self { owner, ..self }
    }

    /// The generation of all rules: each change makes a new one.
    pub(crate) fn generation(&mut self) -> Result<u32, QueryError> {
        let mut generation = None;
        self.ask(&Query::Generation, |content| {
            if let Content::Generation(number) = content {
                generation = Some(number);
            }
        })?;
        let what = "NFTA_GEN_ID";
        generation.ok_or(QueryError::Malformed(Malformed::Missing { what }))
    }

    /// Asks for something that is there or not.
    pub(crate) fn check(&mut self, query: &Query) -> Result<(), QueryError> {
        self.ask(query, |_content| {})
    }

    /// Adds to a dump what the question asks for.
    pub(crate) fn dump(&mut self, query: &Query, to: &mut Dump) -> Result<(), QueryError> {
        self.ask(query, |content| to.take(content))
    }

    /// Carries a batch out, all of it or nothing.
    ///
    /// The kernel works through it while it is sent: when that is done, every answer is there.
    pub(crate) fn commit(&mut self, batch: &Encoded) -> Result<(), CommitError> {
        let bytes = batch.bytes();
        if bytes.len() > LARGE_BATCH {
            // Where this is not allowed, the datagram may still fit.
            let _outcome = setsockopt(&self.socket.as_fd(), SndBufForce, &(2 * bytes.len()));
        }
        self.send(bytes).map_err(CommitError::Socket)?;
        let mut refused = None;
        let mut acknowledged = false;
        while self.receive_what_is_there().map_err(CommitError::Socket)? {
            for answer in answers(&self.buffer) {
                let Answer {
                    sequence, content, ..
                } = answer.map_err(CommitError::Malformed)?;
                match content {
                    Content::Acknowledged if sequence == batch.last() => acknowledged = true,
                    // The first is the cause; what follows may be its consequence.
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
            (None, false) => Err(CommitError::Silent),
        }
    }

    /// Asks, and hands each part of the answer on as it comes.
    ///
    /// What was handed on is worth nothing where this fails.
    pub(crate) fn ask(
        &mut self,
        query: &Query,
        mut each: impl FnMut(Content),
    ) -> Result<(), QueryError> {
        self.sequence += 1;
        self.socket.send(&query.encode(self.sequence), 0)?;
        let mut interrupted = false;
        loop {
            self.receive(0)?;
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
        match self.owner {
            None => self.socket.send(bytes, 0).map(|_size| ()),
            Some(owner) => owner.send(self.socket.as_fd(), bytes),
        }
    }

    /// Whether there was an answer; then it is in the buffer.
    fn receive_what_is_there(&mut self) -> io::Result<bool> {
        match self.receive(MsgFlags::MSG_DONTWAIT.bits()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Into room that was never written before: what is not needed costs nothing.
    fn receive(&mut self, flags: i32) -> io::Result<()> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer, flags).map(|_size| ())
    }
}
