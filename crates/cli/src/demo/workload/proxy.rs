//! The proxy: accepts redirected connections, and forwards them to their original destination. Inbound
//! connections it forwards from 127.0.0.6, as Envoy does, or from the pod's own address, as Linkerd's
//! proxy does.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Args;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, getsockopt, socket, sockopt,
};
use nix::unistd::getuid;
use serde::{Deserialize, Serialize};

use super::http::{Answer, read_request, response};
use super::{listen, write_all};

/// The source address of connections to the application.
const PASSTHROUGH: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
const TIMEOUT: Duration = Duration::from_secs(10);

/// The ports of the proxy.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Ports {
    #[arg(long)]
    outbound: u16,
    #[arg(long)]
    inbound: u16,
    #[arg(long)]
    health: u16,
    /// Forward inbound connections from 127.0.0.6.
    #[arg(long)]
    passthrough: bool,
}

/// A connection that was redirected to the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// The proxy's port.
    pub(crate) port: u16,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The original destination; none if it was not redirected.
    pub(crate) original: Option<SocketAddr>,
}

/// The connections since the last report.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Connection>>>);

/// Listens on the capture ports and the health port.
pub(super) fn start(ports: Ports) -> io::Result<Log> {
    let log = Log::default();
    let source = ports.passthrough.then_some(PASSTHROUGH);
    for (port, source) in [(ports.outbound, None), (ports.inbound, source)] {
        let log = log.clone();
        listen(any(port), move |stream| {
            // A connection that cannot be forwarded is closed.
            let _result = forward(&stream, port, source, &log);
        })?;
    }
    listen(any(ports.health), |stream| {
        if let Ok(answer) = health(&stream) {
            write_all(&stream, &response(&answer));
        }
    })?;
    Ok(log)
}

impl Log {
    /// Returns the connections since the last call, as one line of JSON.
    pub(super) fn take(&self) -> String {
        let connections = std::mem::take(&mut *self.lock());
        serde_json::to_string(&connections).expect("numbers and addresses are always JSON")
    }

    fn add(&self, connection: Connection) {
        self.lock().push(connection);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // The list is valid even if a thread panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

fn health(stream: &TcpStream) -> io::Result<Answer> {
    read_request(stream)?;
    Ok(Answer {
        who: "proxy".to_owned(),
        uid: getuid().as_raw(),
        at: stream.local_addr()?,
        peer: stream.peer_addr()?,
        upstream: None,
    })
}

/// Logs the connection before it forwards it: when the client has its answer, the log is complete.
fn forward(stream: &TcpStream, port: u16, source: Option<Ipv4Addr>, log: &Log) -> io::Result<()> {
    let original = original_destination(stream);
    log.add(Connection {
        port,
        peer: stream.peer_addr()?,
        original: original.map(SocketAddr::V4),
    });
    // Without an original destination the proxy would connect to itself.
    let Some(original) = original else {
        return Ok(());
    };
    let onward = match source {
        Some(source) => connect_from(source, original)?,
        None => TcpStream::connect_timeout(&original.into(), TIMEOUT)?,
    };
    copy_both_ways(stream, &onward)
}

fn original_destination(stream: &TcpStream) -> Option<SocketAddrV4> {
    let raw = getsockopt(stream, sockopt::OriginalDst).ok()?;
    let address = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
    Some(SocketAddrV4::new(address, u16::from_be(raw.sin_port)))
}

fn connect_from(source: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let any_port = SocketAddrV4::new(source, 0);
    bind(socket.as_raw_fd(), &SockaddrIn::from(any_port))?;
    connect(socket.as_raw_fd(), &SockaddrIn::from(to))?;
    Ok(TcpStream::from(socket))
}

/// Copies in both directions until both sides have closed.
fn copy_both_ways(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    for stream in [one, other] {
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
    }
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, || copy(one, other))?;
        copy(other, one);
        Ok(())
    })
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Fails if the other side has closed already.
    let _shut = to.shutdown(Shutdown::Write);
}
