//! The ways of a TCP connection through ztunnel.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;

use nix::sys::socket::{SockType, SockaddrStorage, connect, getsockopt, setsockopt, sockopt};

use crate::pod::{Connections, bind_to, marked};

/// The port of another ztunnel in its pods.
const TUNNEL: u16 = 15008;

/// From the application: to the ztunnel of the destination, or in plaintext if it has none.
pub(crate) fn outbound(client: TcpStream, connections: &Connections) -> io::Result<()> {
    let destination = original(&client)?;
    let server = match open(None, (destination.ip(), TUNNEL).into()) {
        Ok(mut tunnel) => {
            writeln!(tunnel, "{destination}")?;
            tunnel
        }
        Err(_no_ztunnel) => open(None, destination)?,
    };
    relay(client, server, connections)
}

/// From another ztunnel: to the destination in the first line, from the address of the client.
pub(crate) fn tunnelled(client: TcpStream, connections: &Connections) -> io::Result<()> {
    // One byte at a time, because the application's bytes follow.
    let mut line = String::new();
    BufReader::with_capacity(1, (&client).take(64)).read_line(&mut line)?;
    let destination: SocketAddr = line.trim().parse().map_err(io::Error::other)?;
    let server = open(Some(client.peer_addr()?.ip()), destination)?;
    relay(client, server, connections)
}

/// From a pod without ztunnel: to the application, from the address of the client.
pub(crate) fn plaintext(client: TcpStream, connections: &Connections) -> io::Result<()> {
    let server = open(Some(client.peer_addr()?.ip()), original(&client)?)?;
    relay(client, server, connections)
}

/// As [`plaintext`], under a policy that requires an identity.
#[expect(
    clippy::needless_pass_by_value,
    reason = "every handler of a listener owns its connection"
)]
pub(crate) fn refuse(client: TcpStream, _connections: &Connections) -> io::Result<()> {
    client.shutdown(Shutdown::Both)
}

/// The destination before the rules rewrote it.
fn original(client: &TcpStream) -> io::Result<SocketAddr> {
    Ok(match client.local_addr()? {
        SocketAddr::V4(_) => {
            let address = getsockopt(client, sockopt::OriginalDst)?;
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            (ip, u16::from_be(address.sin_port)).into()
        }
        SocketAddr::V6(_) => {
            let address = getsockopt(client, sockopt::Ip6tOriginalDst)?;
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            (ip, u16::from_be(address.sin6_port)).into()
        }
    })
}

fn open(source: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = marked(to, SockType::Stream)?;
    if let Some(source) = source {
        setsockopt(&socket, sockopt::IpTransparent, &true)?;
        bind_to(&socket, (source, 0).into())?;
    }
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
    Ok(socket.into())
}

fn relay(client: TcpStream, server: TcpStream, connections: &Connections) -> io::Result<()> {
    if let Ok(mut all) = connections.lock() {
        all.extend([client.try_clone()?, server.try_clone()?]);
    }
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || copy(from_client, to_server));
    copy(server, client);
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    drop(io::copy(&mut from, &mut to));
    // The other direction may still transfer.
    drop(to.shutdown(Shutdown::Write));
}
