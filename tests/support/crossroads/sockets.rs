//! The sockets of every namespace, waited for all at once.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use mesh_cni_netfilter::ruleset::{Family, Protocol};
use mesh_cni_netns::NetNs;
use nix::libc::linger;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use super::arrival::{Ends, Met};
use super::opener::{Opener, Purpose};
use super::{Crossroads, Whence};
use crate::Sender;

/// Where the proxy's resolver listens, on the loopback address: answers from any other one would
/// not be known as such.
const RESOLVER: u16 = 15053;

#[derive(Debug)]
pub(super) struct Sockets {
    everywhere: Vec<Waiting>,
    resolver: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    side: Whence,
    port: u16,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Connections(TcpListener),
    Datagrams(UdpSocket),
}

impl Sockets {
    pub(super) fn open(netns: &[&NetNs; 3]) -> Self {
        let sides = [Whence::Pod, Whence::Peer, Whence::Guest];
        let mut everywhere = Vec::new();
        for (side, netns) in sides.into_iter().zip(netns) {
            let opener = Opener::start(netns);
            for port in Crossroads::PORTS {
                for family in Family::ALL {
                    let at = SocketAddr::new(super::any_address(family), port);
                    everywhere.extend(both(&opener, side, Sender::ROOT, at));
                }
            }
        }
        Self {
            everywhere,
            resolver: Vec::new(),
        }
    }

    /// The proxy's resolver belongs to that user and group from now on.
    pub(super) fn resolve(&mut self, opener: &Opener, proxy: Sender) {
        self.resolver.clear();
        for family in Family::ALL {
            let at = SocketAddr::new(family.loopback().ip(), RESOLVER);
            self.resolver.extend(both(opener, Whence::Pod, proxy, at));
        }
    }

    /// Who meets the packet from that port.
    pub(super) fn meet(
        &self,
        client: &OwnedFd,
        protocol: Protocol,
        source: u16,
        patience: Duration,
    ) -> Option<Met> {
        let all = self.everywhere.iter().chain(&self.resolver);
        let waiting: Vec<_> = all
            .filter(|waiting| waiting.socket.takes(protocol))
            .collect();
        let ready = first_ready(&waiting, client, patience)?;
        let (met, from_port) = ready.take(client);
        assert_eq!(from_port, source, "an older packet came late: {met:?}");
        Some(met)
    }
}

fn both(
    opener: &Opener,
    side: Whence,
    owner: Sender,
    at: SocketAddr,
) -> impl Iterator<Item = Waiting> {
    [Protocol::Tcp, Protocol::Udp]
        .map(move |protocol| {
            let transparent = Crossroads::TRANSPARENT.contains(&at.port());
            let purpose = Purpose::Listen {
                owner,
                at,
                transparent,
            };
            let fd = opener.order(protocol, purpose);
            let socket = match protocol {
                Protocol::Tcp => Socket::Connections(fd.into()),
                Protocol::Udp => Socket::Datagrams(fd.into()),
            };
            Waiting {
                side,
                port: at.port(),
                socket,
            }
        })
        .into_iter()
}

/// The first socket with something to take; none where the client is told that nobody listens, or
/// where nothing comes in time.
fn first_ready<'waiting>(
    waiting: &[&'waiting Waiting],
    client: &OwnedFd,
    patience: Duration,
) -> Option<&'waiting Waiting> {
    let begun = Instant::now();
    loop {
        // Also where no time is left it is looked once: a busy machine may have taken it all.
        let left = patience.saturating_sub(begun.elapsed());
        let sockets = waiting.iter().map(|waiting| waiting.socket.as_fd());
        let mut polled: Vec<_> = sockets
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // Nothing is asked of the client but its errors, which are always told.
        polled.push(PollFd::new(client.as_fd(), PollFlags::empty()));
        let timeout = PollTimeout::try_from(left).expect("a deadline of seconds can be told");
        poll(&mut polled, timeout).expect("sockets can be waited for");
        let is_set = |polled: &PollFd<'_>| polled.revents().is_some_and(|set| !set.is_empty());
        let client = polled.pop().expect("the client's was the last");
        if let Some(at) = polled.iter().position(is_set) {
            return Some(waiting[at]);
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
    fn takes(&self, protocol: Protocol) -> bool {
        match self {
            Self::Connections(_) => protocol == Protocol::Tcp,
            Self::Datagrams(_) => protocol == Protocol::Udp,
        }
    }

    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Connections(listener) => listener.as_fd(),
            Self::Datagrams(socket) => socket.as_fd(),
        }
    }
}

impl Waiting {
    fn take(&self, client: &OwnedFd) -> (Met, u16) {
        let (from, connection) = match &self.socket {
            Socket::Connections(listener) => {
                let (stream, from) = listener.accept().expect("a connection waits");
                let ends = Ends::of(&stream);
                forget(&stream, client);
                (from, Some(ends))
            }
            Socket::Datagrams(socket) => {
                let mut buffer = [0; 8];
                let received = socket.recv_from(&mut buffer);
                let (_, from) = received.expect("a datagram waits");
                if self.port == RESOLVER {
                    answer(socket, from, client);
                }
                (from, None)
            }
        };
        let met = Met {
            side: self.side,
            port: self.port,
            from: from.ip(),
            connection,
        };
        (met, from.port())
    }
}

/// Both ends close without waiting for each other.
fn forget(stream: &TcpStream, client: &OwnedFd) {
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

/// The answer to a captured query must find its way back.
fn answer(resolver: &UdpSocket, to: SocketAddr, client: &OwnedFd) {
    resolver.send_to(b"!", to).expect("an answer can be sent");
    let mut polled = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
    let timeout =
        PollTimeout::try_from(super::PATIENCE).expect("a deadline of seconds can be told");
    poll(&mut polled, timeout).expect("a socket can be waited for");
    let revents = polled[0].revents().unwrap_or(PollFlags::empty());
    assert_eq!(revents, PollFlags::POLLIN, "the answer to {to} got lost");
}
