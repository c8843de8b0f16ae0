//! A port that stays reserved while its server is stopped.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, setsockopt, socket, sockopt,
};

/// A loopback port, reserved by a socket that does not listen. A server with `SO_REUSEPORT` can
/// listen on it, again after a restart.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    _socket: OwnedFd,
    number: u16,
}

impl ReservedPort {
    /// Reserves a free port.
    pub(crate) fn new() -> Self {
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let socket =
            socket(family, kind, SockFlag::SOCK_CLOEXEC, None).expect("a socket can be created");
        setsockopt(&socket, sockopt::ReusePort, &true).expect("a port can be shared");
        let address = SockaddrIn::from(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
        bind(socket.as_raw_fd(), &address).expect("a port is free");
        let bound: SockaddrIn = getsockname(socket.as_raw_fd()).expect("it has an address");
        Self {
            number: bound.port(),
            _socket: socket,
        }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
