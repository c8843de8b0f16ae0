//! Sockets of type `SOCK_SEQPACKET` in the event loop.
//!
//! For the event loop they are Unix sockets like those of a stream; datagrams are sent and received with
//! `sendmsg` and `recvmsg`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mesh_cni_agent_api::{Datagram, SeqPacket};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};

use crate::http::socket::{ListenError, bind_privately};

/// A listening socket, which only its owner can open.
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// The device and inode of its file.
    file: (u64, u64),
}

/// A connected socket.
pub(crate) struct Connection(UnixStream);

impl Listener {
    /// Listens at that path. A socket that exists there is replaced.
    pub(crate) fn bind(path: &Path) -> Result<Self, ListenError> {
        let (socket, file) = bind_privately(path, |path| {
            let socket = OwnedFd::from(SeqPacket::listen(path)?);
            let socket = std::os::unix::net::UnixListener::from(socket);
            socket.set_nonblocking(true)?;
            UnixListener::from_std(socket)
        })?;
        let path = path.to_owned();
        Ok(Self { socket, path, file })
    }

    /// Waits for a connection.
    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        self.socket
            .accept()
            .await
            .map(|(socket, _)| Connection(socket))
    }

    /// Whether its path still leads to it.
    pub(crate) fn is_reachable(&self) -> bool {
        let found = std::fs::symlink_metadata(&self.path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == self.file)
    }
}

impl Connection {
    /// Receives a datagram; `None` at the end of the connection.
    pub(crate) async fn receive(&self, size: usize) -> io::Result<Option<Datagram>> {
        let receive = || Datagram::receive(self.0.as_fd(), size);
        self.0.async_io(Interest::READABLE, receive).await
    }

    /// Sends a datagram at once, or fails.
    pub(crate) fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        Datagram::send(self.0.as_fd(), bytes, descriptors)
    }

    /// The user at the other end.
    pub(crate) fn peer_user(&self) -> io::Result<u32> {
        self.0.peer_cred().map(|peer| peer.uid())
    }
}
