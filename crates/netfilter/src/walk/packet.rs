//! The packet that walks: which way it goes, from whom, to where, and what it carries.

use std::net::SocketAddr;

use crate::ruleset::{ConntrackState, Family, Protocol};
use crate::value::{Gid, InterfaceName, Uid};

/// The first port of Linux's ephemeral range: the source port of a packet that names none.
pub(super) const EPHEMERAL_PORT: u16 = 32768;

/// One packet, as it is before any rule touches it.
///
/// It has a text form too, [`Packet::parse`], whose inverse is its `Display`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet {
    /// Which way it goes, and from whom.
    pub direction: Direction,
    /// Its transport protocol.
    pub protocol: Protocol,
    /// Where it is for.
    pub destination: SocketAddr,
    /// The interface by which it comes in, or to which its sender is bound; without one the
    /// [`Host`](super::Host) decides.
    pub interface: Option<InterfaceName>,
    /// Its own mark (`SO_MARK`); 0 without one.
    pub mark: u32,
    /// The mark of its connection; 0 without one.
    pub connmark: u32,
    /// The state of its connection, as connection tracking will find it.
    pub state: ConntrackState,
    /// Whether it goes the way of its connection's first packet.
    pub side: Side,
    /// Its size in bytes, network header included.
    pub bytes: u64,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It arrives.
    In {
        /// Who sent it.
        source: SocketAddr,
    },
    /// A process here sends it.
    Out {
        /// The address it is sent from; without one the kernel's choice for the destination.
        source: Option<SocketAddr>,
        /// Whose process sends it; without one no owner is to be seen, as on packets that the
        /// kernel itself sends.
        owner: Option<Owner>,
    },
}

/// The user and group of the process that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user id.
    pub uid: Uid,
    /// The group id.
    pub gid: Gid,
}

/// Which of its connection's two ways a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The way of the first packet.
    Original,
    /// The other way.
    Reply,
}

impl Packet {
    /// The first packet of a TCP connection that arrives.
    pub fn tcp_in(source: SocketAddr, destination: SocketAddr) -> Self {
        Self::first(Direction::In { source }, Protocol::Tcp, destination)
    }

    /// A first datagram that arrives.
    pub fn udp_in(source: SocketAddr, destination: SocketAddr) -> Self {
        Self::first(Direction::In { source }, Protocol::Udp, destination)
    }

    /// The first packet of a TCP connection that a process here opens.
    pub fn tcp_out(destination: SocketAddr) -> Self {
        Self::first(Self::OUT, Protocol::Tcp, destination)
    }

    /// A first datagram that a process here sends.
    pub fn udp_out(destination: SocketAddr) -> Self {
        Self::first(Self::OUT, Protocol::Udp, destination)
    }

    const OUT: Direction = Direction::Out {
        source: None,
        owner: None,
    };

    pub(super) fn first(direction: Direction, protocol: Protocol, destination: SocketAddr) -> Self {
        Self {
            direction,
            protocol,
            destination,
            interface: None,
            mark: 0,
            connmark: 0,
            state: ConntrackState::New,
            side: Side::Original,
            bytes: Self::usual_size(destination),
        }
    }

    /// The size of a SYN with the options that Linux sends: 60 bytes over IPv4, 80 over IPv6.
    pub(super) fn usual_size(destination: SocketAddr) -> u64 {
        match destination {
            SocketAddr::V4(_) => 60,
            SocketAddr::V6(_) => 80,
        }
    }

    /// The same packet, sent by a process of that user and group; one that arrives has no owner.
    #[must_use]
    pub fn sent_by(mut self, user: Uid, group: Gid) -> Self {
        if let Direction::Out { owner, .. } = &mut self.direction {
            *owner = Some(Owner {
                uid: user,
                gid: group,
            });
        }
        self
    }

    /// The same packet from that address.
    #[must_use]
    pub fn from(mut self, address: SocketAddr) -> Self {
        match &mut self.direction {
            Direction::In { source } => *source = address,
            Direction::Out { source, .. } => *source = Some(address),
        }
        self
    }

    /// The same packet on that interface.
    #[must_use]
    pub fn on_interface(mut self, interface: InterfaceName) -> Self {
        self.interface = Some(interface);
        self
    }

    /// The same packet with that mark.
    #[must_use]
    pub fn marked(mut self, mark: u32) -> Self {
        self.mark = mark;
        self
    }

    /// The same packet of a connection with that mark.
    #[must_use]
    pub fn in_connection_marked(mut self, mark: u32) -> Self {
        self.connmark = mark;
        self
    }

    /// The same packet of a connection in that state.
    #[must_use]
    pub fn in_state(mut self, state: ConntrackState) -> Self {
        self.state = state;
        self
    }

    /// The same packet as an answer, of a connection that the other side opened.
    #[must_use]
    pub fn as_reply(mut self) -> Self {
        self.side = Side::Reply;
        self
    }

    /// The same packet in that size.
    #[must_use]
    pub fn of_size(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The family whose rules it meets.
    pub fn family(&self) -> Family {
        Family::of_address(self.destination.ip())
    }
}
