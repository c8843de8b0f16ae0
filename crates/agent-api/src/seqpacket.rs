//! Unix sockets of type `SOCK_SEQPACKET`, whose datagrams carry file descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, listen, recvmsg, sendmsg, socket_with, sockopt,
};

/// The most descriptors that a datagram may carry. The kernel closes more.
const MAX_DESCRIPTORS: usize = 2;

/// How many connections may wait until they are accepted.
const BACKLOG: i32 = 64;

/// A listening or connected socket.
#[derive(Debug)]
pub struct SeqPacket(OwnedFd);

/// What was received.
#[derive(Debug)]
pub struct Datagram {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The file descriptors that it carried.
    pub descriptors: Vec<OwnedFd>,
    /// Whether it was longer than the buffer, or carried more than two descriptors.
    pub is_truncated: bool,
}

impl SeqPacket {
    fn new() -> io::Result<Self> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        Ok(Self(socket_with(family, kind, SocketFlags::CLOEXEC, None)?))
    }

    /// Connects to a listening socket.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = Self::new()?;
        connect(&socket.0, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    }

    /// The same, at most for that time: connecting waits while the listener's queue is full. Sending is
    /// limited in the same way.
    pub fn connect_within(path: &Path, timeout: Duration) -> io::Result<Self> {
        let socket = Self::new()?;
        sockopt::set_socket_timeout(&socket.0, sockopt::Timeout::Send, Some(timeout))?;
        connect(&socket.0, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    }

    /// Listens at that path.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let socket = Self::new()?;
        bind(&socket.0, &SocketAddrUnix::new(path)?)?;
        listen(&socket.0, BACKLOG)?;
        Ok(socket)
    }

    /// Waits for a connection.
    pub fn accept(&self) -> io::Result<Self> {
        Ok(Self(accept_with(&self.0, SocketFlags::CLOEXEC)?))
    }

    /// Limits how long [`accept`](Self::accept) and [`receive`](Self::receive) wait.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Recv, Some(timeout))?;
        Ok(())
    }

    /// Sends a datagram.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        Datagram::send(self.as_fd(), bytes, descriptors)
    }

    /// Receives a datagram with a buffer of that size; `None` at the end of the connection.
    pub fn receive(&self, size: usize) -> io::Result<Option<Datagram>> {
        Datagram::receive(self.as_fd(), size)
    }
}

impl Datagram {
    /// Sends a datagram over that socket, for event loops that own it.
    pub fn send(
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let parts = [IoSlice::new(bytes)];
        sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Receives a datagram of that socket with a buffer of that size; `None` at the end of the connection.
    pub fn receive(socket: BorrowedFd<'_>, size: usize) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; size];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let descriptors = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        });
        let descriptors = descriptors.collect();
        bytes.truncate(received.bytes);
        Ok((received.bytes > 0).then_some(Self {
            bytes,
            descriptors,
            is_truncated: received
                .flags
                .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC),
        }))
    }
}

impl AsFd for SeqPacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<SeqPacket> for OwnedFd {
    fn from(socket: SeqPacket) -> Self {
        socket.0
    }
}
