//! The packet of a walk: direction, addresses, sender, marks and connection state.

use std::net::SocketAddr;

use crate::ruleset::{ConntrackState, Family, Protocol};
use crate::value::{Gid, InterfaceName, Uid};

/// The first port of Linux's ephemeral range, the default source port.
pub(super) const EPHEMERAL_PORT: u16 = 32768;

/// One packet, before any rule changes it.
///
/// Its text form is documented at [`FromStr`](Packet#impl-FromStr-for-Packet).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet {
    /// The direction, and the sender.
    pub direction: Direction,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The destination.
    pub destination: SocketAddr,
    /// The interface through which it arrives, or to which its sender is bound. If `None`, it
    /// follows from the [`NetnsAddresses`](super::NetnsAddresses).
    pub interface: Option<InterfaceName>,
    /// The packet's mark (`SO_MARK`); 0 for none.
    pub mark: u32,
    /// The connection's mark; 0 for none.
    pub connmark: u32,
    /// The state that connection tracking finds.
    pub state: ConntrackState,
    /// Whether it goes in the direction of the connection's first packet.
    pub side: Side,
    /// The size in bytes, including the network header.
    pub bytes: u64,
}

/// Whether a packet arrives or is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It arrives.
    In {
        /// The source.
        source: SocketAddr,
    },
    /// A process in this namespace sends it.
    Out {
        /// The source; if `None`, the kernel's choice for the destination.
        source: Option<SocketAddr>,
        /// The user and group of the process; `None` for packets that the kernel sends.
        owner: Option<Owner>,
    },
}

/// The user and group of the sending process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user id.
    pub uid: Uid,
    /// The group id.
    pub gid: Gid,
}

/// In which direction of its connection a packet goes, as in conntrack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The direction of the first packet.
    Original,
    /// The other direction.
    Reply,
}

impl Packet {
    /// The first packet of a TCP connection that arrives.
    pub fn tcp_in(source: SocketAddr, destination: SocketAddr) -> Self {
        Self::first(Direction::In { source }, Protocol::Tcp, destination)
    }

    /// The first UDP packet of a connection that arrives.
    pub fn udp_in(source: SocketAddr, destination: SocketAddr) -> Self {
        Self::first(Direction::In { source }, Protocol::Udp, destination)
    }

    /// The first packet of a TCP connection that a local process opens.
    pub fn tcp_out(destination: SocketAddr) -> Self {
        Self::first(Self::OUT, Protocol::Tcp, destination)
    }

    /// The first UDP packet that a local process sends.
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
            bytes: Self::default_size(destination),
        }
    }

    /// The size of a SYN as Linux sends it: 60 bytes over IPv4, 80 over IPv6.
    pub(super) fn default_size(destination: SocketAddr) -> u64 {
        match destination {
            SocketAddr::V4(_) => 60,
            SocketAddr::V6(_) => 80,
        }
    }

    /// The same packet from a process of that user and group. No effect if it arrives.
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

    /// The same packet with that source.
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

    /// The address family.
    pub fn family(&self) -> Family {
        Family::of_address(self.destination.ip())
    }
}
