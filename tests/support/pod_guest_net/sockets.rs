//! The listening sockets of all namespaces.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use mesh_cni_netfilter::ruleset::{Family, Protocol};
use mesh_cni_netns::NetNs;
use nix::libc::linger;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use super::received::{Destinations, Received};
use super::socket_thread::{Purpose, SocketThread};
use super::{Link, Origin, PodGuestNet};
use crate::Sender;

/// The port of the proxy's resolver, on the loopback address. Answers from another address would not
/// match the connection.
const RESOLVER: u16 = 15053;

#[derive(Debug)]
pub(super) struct Sockets {
    listeners: Vec<Listener>,
    resolver: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    side: Origin,
    port: u16,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Sockets {
    pub(super) fn open(netns: &[&NetNs; 3]) -> Self {
        let sides = [Origin::Pod, Origin::Peer, Origin::Guest];
        let mut listeners = Vec::new();
        for (side, netns) in sides.into_iter().zip(netns) {
            let thread = SocketThread::start(netns);
            for port in PodGuestNet::PORTS {
                for family in Family::ALL {
                    let at = SocketAddr::new(super::any_address(family), port);
                    listeners.extend(both(&thread, side, Sender::ROOT, at));
                }
            }
        }
        Self {
            listeners,
            resolver: Vec::new(),
        }
    }

    /// Replaces the proxy's resolver with one of another user and group.
    pub(super) fn resolve(&mut self, thread: &SocketThread, proxy: Sender) {
        self.resolver.clear();
        for family in Family::ALL {
            // Queries of the pod are redirected to the loopback address, those of guests to the
            // address of their interface. An answer must come from the same address.
            for address in [family.loopback().ip(), Link::DOCKER0.own(family)] {
                let at = SocketAddr::new(address, RESOLVER);
                self.resolver.extend(both(thread, Origin::Pod, proxy, at));
            }
        }
    }

    /// Waits for the packet from a source port, and returns the socket that received it.
    pub(super) fn receive(
        &self,
        client: &OwnedFd,
        protocol: Protocol,
        source: u16,
        timeout: Duration,
    ) -> Option<Received> {
        let all = self.listeners.iter().chain(&self.resolver);
        let listeners: Vec<_> = all
            .filter(|listener| listener.socket.accepts(protocol))
            .collect();
        let ready = first_ready(&listeners, client, timeout)?;
        let (received, from_port) = ready.receive(client);
        assert_eq!(
            from_port, source,
            "an older packet arrived late: {received:?}"
        );
        Some(received)
    }
}

fn both(
    thread: &SocketThread,
    side: Origin,
    owner: Sender,
    at: SocketAddr,
) -> impl Iterator<Item = Listener> {
    [Protocol::Tcp, Protocol::Udp]
        .map(move |protocol| {
            let transparent = PodGuestNet::TRANSPARENT.contains(&at.port());
            let purpose = Purpose::Listen {
                owner,
                at,
                transparent,
            };
            let fd = thread.request(protocol, purpose);
            let socket = match protocol {
                Protocol::Tcp => Socket::Tcp(fd.into()),
                Protocol::Udp => Socket::Udp(fd.into()),
                Protocol::Icmpv6 => panic!("no test listens for {protocol}"),
            };
            Listener {
                side,
                port: at.port(),
                socket,
            }
        })
        .into_iter()
}

/// The first socket that is readable; `None` if the client receives an error, or after the timeout.
fn first_ready<'listeners>(
    listeners: &[&'listeners Listener],
    client: &OwnedFd,
    timeout: Duration,
) -> Option<&'listeners Listener> {
    let begun = Instant::now();
    loop {
        // Poll at least once, even if a busy machine has used up the time.
        let left = timeout.saturating_sub(begun.elapsed());
        let sockets = listeners.iter().map(|listener| listener.socket.as_fd());
        let mut polled: Vec<_> = sockets
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // `poll` always reports errors, so the client needs no events.
        polled.push(PollFd::new(client.as_fd(), PollFlags::empty()));
        let timeout = PollTimeout::try_from(left).expect("the timeout is valid");
        poll(&mut polled, timeout).expect("sockets can be waited for");
        let is_set = |polled: &PollFd<'_>| polled.revents().is_some_and(|set| !set.is_empty());
        let client = polled.pop().expect("the client was added last");
        if let Some(at) = polled.iter().position(is_set) {
            return Some(listeners[at]);
        }
        if client
            .revents()
            .is_some_and(|set| set.contains(PollFlags::POLLERR))
            || left.is_zero()
        {
            return None;
        }
    }
}

impl Socket {
    fn accepts(&self, protocol: Protocol) -> bool {
        match self {
            Self::Tcp(_) => protocol == Protocol::Tcp,
            Self::Udp(_) => protocol == Protocol::Udp,
        }
    }

    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

impl Listener {
    fn receive(&self, client: &OwnedFd) -> (Received, u16) {
        let (from, connection) = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, from) = listener.accept().expect("a connection waits");
                let destinations = Destinations::of(&stream);
                close_immediately(&stream, client);
                (from, Some(destinations))
            }
            Socket::Udp(socket) => {
                let mut buffer = [0; 8];
                let received = socket.recv_from(&mut buffer);
                let (_, from) = received.expect("a datagram waits");
                if self.port == RESOLVER {
                    answer(socket, from, client);
                }
                (from, None)
            }
        };
        let received = Received {
            side: self.side,
            port: self.port,
            from: from.ip(),
            connection,
        };
        (received, from.port())
    }
}

/// Makes both ends close immediately.
fn close_immediately(stream: &TcpStream, client: &OwnedFd) {
    let at_once = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    for set in [
        setsockopt(stream, sockopt::Linger, &at_once),
        setsockopt(client, sockopt::Linger, &at_once),
    ] {
        set.expect("a socket takes the option");
    }
}

/// Answers a captured query, and checks that the client receives the answer.
fn answer(resolver: &UdpSocket, to: SocketAddr, client: &OwnedFd) {
    resolver.send_to(b"!", to).expect("an answer can be sent");
    let mut polled = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(super::ARRIVAL_TIMEOUT).expect("the timeout is valid");
    poll(&mut polled, timeout).expect("a socket can be waited for");
    let revents = polled[0].revents().unwrap_or(PollFlags::empty());
    assert_eq!(revents, PollFlags::POLLIN, "the answer to {to} was lost");
}
