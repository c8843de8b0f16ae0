//! Unix sockets of type `SOCK_SEQPACKET`, whose datagrams carry file descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    accept, bind, connect, listen, recvmsg, sendmsg, socket_with, sockopt,
};

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
    /// Whether it was longer than the buffer.
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

    /// Listens at that path.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let socket = Self::new()?;
        bind(&socket.0, &SocketAddrUnix::new(path)?)?;
        listen(&socket.0, 8)?;
        Ok(socket)
    }

    /// Waits for a connection.
    pub fn accept(&self) -> io::Result<Self> {
        Ok(Self(accept(&self.0)?))
    }

    /// Limits how long [`accept`](Self::accept) and [`receive`](Self::receive) wait.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Recv, Some(timeout))?;
        Ok(())
    }

    /// Sends a datagram.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        sendmsg(
            &self.0,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// Receives a datagram with a buffer of that size; `None` at the end of the connection.
    pub fn receive(&self, size: usize) -> io::Result<Option<Datagram>> {
        let mut bytes = vec![0; size];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(&self.0, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let descriptors = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        });
        let descriptors = descriptors.collect();
        bytes.truncate(received.bytes);
        Ok((received.bytes > 0).then_some(Datagram {
            bytes,
            descriptors,
            is_truncated: received.flags.contains(ReturnFlags::TRUNC),
        }))
    }
}
