//! The socket that received a packet, and its addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpStream};

use nix::sys::socket::{getsockopt, sockopt};

use super::Origin;

/// The socket that received a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its namespace.
    pub side: Origin,
    /// Its port.
    pub port: u16,
    /// The packet's source address, as the socket sees it.
    pub from: IpAddr,
    /// The destinations of a connection; `None` for a datagram.
    pub connection: Option<Destinations>,
}

/// The destinations of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destinations {
    /// The original destination, before rules rewrote it.
    pub original: SocketAddr,
    /// The destination, as the socket sees it.
    pub local: SocketAddr,
}

impl Destinations {
    pub(super) fn of(stream: &TcpStream) -> Self {
        let local = stream.local_addr().expect("a connection has an address");
        // Without connection tracking, nothing was rewritten.
        let original = original(stream, local).unwrap_or(local);
        Self { original, local }
    }
}

fn original(stream: &TcpStream, local: SocketAddr) -> nix::Result<SocketAddr> {
    Ok(match local {
        SocketAddr::V4(_) => {
            let found = getsockopt(stream, sockopt::OriginalDst)?;
            let address = Ipv4Addr::from(u32::from_be(found.sin_addr.s_addr));
            SocketAddrV4::new(address, u16::from_be(found.sin_port)).into()
        }
        SocketAddr::V6(_) => {
            let found = getsockopt(stream, sockopt::Ip6tOriginalDst)?;
            let address = Ipv6Addr::from(found.sin6_addr.s6_addr);
            SocketAddrV6::new(address, u16::from_be(found.sin6_port), 0, 0).into()
        }
    })
}
