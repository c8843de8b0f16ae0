//! A port that nobody else is given while a server that listens on it is away.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, setsockopt, socket, sockopt,
};

/// A loopback port, held by a socket that does not listen. A server that asks for
/// `SO_REUSEPORT` can listen on it, and again after a restart.
#[derive(Debug)]
pub(crate) struct HeldPort {
    _socket: OwnedFd,
    number: u16,
}

impl HeldPort {
    /// Takes one that is free.
    pub(crate) fn take() -> Self {
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let held = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).expect("a socket is made");
        setsockopt(&held, sockopt::ReusePort, &true).expect("a port can be shared");
        let address = SockaddrIn::from(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
        bind(held.as_raw_fd(), &address).expect("some port is free");
        let bound: SockaddrIn = getsockname(held.as_raw_fd()).expect("it has an address");
        Self {
            number: bound.port(),
            _socket: held,
        }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
