//! The listeners in the namespace of one pod.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::thread;

use mesh_cni_netns::NetNs;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrStorage, bind, listen,
    setsockopt, shutdown, socket, sockopt,
};

use crate::{relay, resolver};

/// The mark of every packet that ztunnel sends.
pub(crate) const MARK: u32 = 1337;

/// A pod that is served. Dropping it closes its listeners and connections.
pub(crate) struct Pod {
    netns: Arc<NetNs>,
    listeners: Vec<Arc<TcpListener>>,
    resolvers: Vec<Arc<UdpSocket>>,
    connections: Connections,
}

/// Both ends of each relayed connection, to close them with the pod.
pub(crate) type Connections = Arc<Mutex<Vec<TcpStream>>>;

/// A port, and what happens to the connections that arrive there.
type Port = (u16, fn(TcpStream, &Connections) -> io::Result<()>);

impl Pod {
    /// Listens in the namespace, on all ports or on none.
    pub(crate) fn start(netns: Arc<NetNs>, is_strict: bool) -> io::Result<Self> {
        let inbound = if is_strict {
            relay::refuse
        } else {
            relay::plaintext
        };
        let mut pod = Self {
            netns,
            listeners: Vec::new(),
            resolvers: Vec::new(),
            connections: Connections::default(),
        };
        let anywhere = [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Ipv6Addr::UNSPECIFIED.into(),
        ];
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        let proxied: [Port; 3] = [
            (15001, relay::outbound),
            (15006, inbound),
            (15008, relay::tunnelled),
        ];
        for (port, serve) in proxied {
            for address in anywhere {
                pod.listen((address, port).into(), serve)?;
            }
        }
        for address in loopback {
            let at = (address, 15053).into();
            pod.listen(at, resolver::answer_stream)?;
            let socket = Arc::new(UdpSocket::from(pod.bound(at, SockType::Datagram)?));
            pod.resolvers.push(Arc::clone(&socket));
            thread::spawn(move || resolver::answer_datagrams(&socket));
        }
        Ok(pod)
    }

    pub(crate) fn is_in(&self, netns: &NetNs) -> bool {
        self.netns.is_same(netns)
    }

    /// Serves each connection in a thread in the pod's namespace, so that the sockets it opens are there too.
    fn listen(
        &mut self,
        at: SocketAddr,
        serve: fn(TcpStream, &Connections) -> io::Result<()>,
    ) -> io::Result<()> {
        let socket = self.bound(at, SockType::Stream)?;
        listen(&socket, Backlog::new(128)?)?;
        let listener = Arc::new(TcpListener::from(socket));
        self.listeners.push(Arc::clone(&listener));
        let connections = Arc::clone(&self.connections);
        let netns = Arc::clone(&self.netns);
        thread::spawn(move || {
            netns.run(move || {
                while let Ok((stream, _)) = listener.accept() {
                    let connections = Arc::clone(&connections);
                    // What fails closes the connection, which the client sees.
                    thread::spawn(move || drop(serve(stream, &connections)));
                }
            })
        });
        Ok(())
    }

    fn bound(&self, at: SocketAddr, kind: SockType) -> io::Result<std::os::fd::OwnedFd> {
        let bound = self.netns.run(|| {
            let socket = marked(at, kind)?;
            setsockopt(&socket, sockopt::ReusePort, &true)?;
            // The resolver's sockets are not transparent: they need the address.
            setsockopt(&socket, sockopt::IpTransparent, &!at.ip().is_loopback())?;
            if at.is_ipv6() {
                setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
            }
            bind_to(&socket, at)?;
            Ok(socket)
        });
        bound.map_err(io::Error::other)?
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for listener in &self.listeners {
            close(listener);
        }
        for socket in &self.resolvers {
            close(socket);
        }
        let connections = self.connections.lock();
        for stream in connections.iter().flat_map(|all| all.iter()) {
            close(stream);
        }
    }
}

/// Wakes the threads that wait for this socket.
fn close(socket: &impl AsFd) {
    use std::os::fd::AsRawFd;
    // It may be closed already.
    let _closed = shutdown(socket.as_fd().as_raw_fd(), Shutdown::Both);
}

/// A socket of that family whose packets are marked.
pub(crate) fn marked(for_address: SocketAddr, kind: SockType) -> nix::Result<std::os::fd::OwnedFd> {
    let family = match for_address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::Mark, &MARK)?;
    Ok(socket)
}

pub(crate) fn bind_to(socket: &std::os::fd::OwnedFd, at: SocketAddr) -> nix::Result<()> {
    use std::os::fd::AsRawFd;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(at))
}
