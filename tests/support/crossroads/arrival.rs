//! Who met a packet, and what that socket knows of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpStream};

use nix::sys::socket::{getsockopt, sockopt};

use super::Whence;

/// Where a packet arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// In which namespace.
    pub side: Whence,
    /// On which port.
    pub port: u16,
    /// Whence it came by its own account.
    pub from: IpAddr,
    /// What is known of a connection, and of no datagram.
    pub connection: Option<Ends>,
}

/// Where a connection was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Before anything rewrote it.
    pub original: SocketAddr,
    /// By its own account.
    pub local: SocketAddr,
}

impl Ends {
    pub(super) fn of(stream: &TcpStream) -> Self {
        let local = stream.local_addr().expect("a connection has an address");
        // Without connection tracking nothing was rewritten.
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
