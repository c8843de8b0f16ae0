//! Random packets: origin, sender, protocol, family and destination.

use std::net::{IpAddr, SocketAddr};

use mesh_cni_netfilter::Packet;
use mesh_cni_netfilter::ruleset::{ConntrackState, Family, Protocol};
use mesh_cni_netfilter::value::{Gid, InterfaceName, Uid};
use mesh_cni_netfilter::walk::{Location, Outcome, Side};
use mesh_cni_rules::inbound_passthrough;
use mesh_cni_tests::{
    Destinations, Link, Origin, PodGuestNet, Probe, Sender, any_address, far_address,
};

use crate::case::Case;
use crate::random::Random;

/// The source port of the packet in the walk; that of the real one differs.
const ANY_PORT: u16 = 32768;

/// A packet for the walk and for the kernel.
#[derive(Clone, Debug)]
pub(super) struct TestPacket {
    pub(super) origin: Origin,
    pub(super) protocol: Protocol,
    sender: Sender,
    /// The pod's interface that receives it, unless the pod sends it.
    link: Option<Link>,
    /// Its source address; if `None`, the kernel chooses it.
    pub(super) source: Option<IpAddr>,
    to: SocketAddr,
}

impl TestPacket {
    pub(super) fn random(random: &mut Random, case: &Case) -> Self {
        let family = random.one(&Family::ALL);
        let origin = match random.next() % 8 {
            0..5 => Origin::Pod,
            5..7 => Origin::Peer,
            _ => Origin::Guest,
        };
        let link = match origin {
            Origin::Pod => None,
            Origin::Peer => Some(random.one(&[Link::ETH0, Link::ETH0, Link::NET1])),
            Origin::Guest => Some(Link::DOCKER0),
        };
        let target = target(random, origin, link, family);
        Self {
            origin,
            protocol: random.one(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp]),
            sender: sender(random),
            link,
            source: source(random, origin, link, target).filter(|from| case.may_send(*from)),
            to: SocketAddr::new(target, port(random)),
        }
    }

    pub(super) fn is_from_the_pod(&self) -> bool {
        self.origin == Origin::Pod
    }

    /// The packet for the walk.
    pub(super) fn packet(&self) -> Packet {
        let source = self
            .source
            .map(|address| SocketAddr::new(address, ANY_PORT));
        let Some(link) = self.link else {
            return self.packet_out(source);
        };
        let source = source.expect("a packet from outside the pod has a source address");
        let packet = match self.protocol {
            Protocol::Tcp => Packet::tcp_in(source, self.to),
            Protocol::Udp => Packet::udp_in(source, self.to),
            Protocol::Icmpv6 => unreachable!("test packets are TCP or UDP"),
        };
        packet.on_interface(link.interface.parse::<InterfaceName>().unwrap())
    }

    fn packet_out(&self, source: Option<SocketAddr>) -> Packet {
        let packet = match self.protocol {
            Protocol::Tcp => Packet::tcp_out(self.to),
            Protocol::Udp => Packet::udp_out(self.to),
            Protocol::Icmpv6 => unreachable!("test packets are TCP or UDP"),
        };
        let packet = packet.sent_by(Uid(self.sender.user), Gid(self.sender.group));
        match source {
            Some(source) => packet.from(source),
            None => packet,
        }
    }

    /// The packet for a socket.
    pub(super) fn probe(&self) -> Probe {
        let family = Family::of_address(self.to.ip());
        let by_net1 = self.origin == Origin::Peer
            && self
                .link
                .is_some_and(|link| link.interface == Link::NET1.interface);
        Probe {
            sender: self.sender,
            source: SocketAddr::new(self.source.unwrap_or(any_address(family)), 0),
            interface: by_net1.then_some(Link::NET1.interface),
            to: self.to,
        }
    }

    /// The first answer of a connection through the pod.
    pub(super) fn answer(&self, outcome: &Outcome) -> Option<Packet> {
        let (Outcome::NotRedirected { to, location }, Protocol::Tcp) = (outcome, self.protocol)
        else {
            return None;
        };
        let (Location::Remote(_), Some(guest), Some(_)) = (location, self.source, self.link) else {
            return None;
        };
        // The peer's only route to the guests.
        let back = Link::ETH0.interface.parse::<InterfaceName>().unwrap();
        let answer = Packet::tcp_in(*to, SocketAddr::new(guest, ANY_PORT));
        let mut answer = answer.on_interface(back);
        answer.side = Side::Reply;
        answer.state = ConntrackState::Established;
        Some(answer)
    }

    /// The destinations of a connection; `None` for a datagram.
    pub(super) fn destinations(
        &self,
        original: SocketAddr,
        local: SocketAddr,
    ) -> Option<Destinations> {
        match self.protocol {
            Protocol::Tcp => Some(Destinations { original, local }),
            _ => None,
        }
    }
}

fn sender(random: &mut Random) -> Sender {
    Sender {
        user: random.one(&[0, 7, 1000, 1000, 1337, 1337, 1338]),
        group: random.one(&[0, 7, 1000, 1000, 1337, 1337, 2102]),
    }
}

fn port(random: &mut Random) -> u16 {
    if random.once_in(5) {
        return 53;
    }
    random.one(&PodGuestNet::PORTS)
}

/// A destination that is reachable from the origin.
fn target(random: &mut Random, origin: Origin, link: Option<Link>, family: Family) -> IpAddr {
    let own: Vec<_> = Link::ALL.iter().map(|link| link.own(family)).collect();
    let others: Vec<_> = Link::ALL.iter().map(|link| link.other(family)).collect();
    let near = [own[0], own[0], link.map_or(own[0], |link| link.own(family))];
    match origin {
        Origin::Peer => random.one(&near),
        Origin::Guest => {
            let beyond = [others[0], others[1], far_address(family)];
            random.one(&[&near[..], &own, &beyond].concat())
        }
        Origin::Pod => {
            let far = [far_address(family)];
            let loopback = match family {
                Family::V4 => ["127.0.0.1", "127.1.1.1"],
                Family::V6 => ["::1", "::1"],
            };
            let loopback = loopback.map(|address| address.parse().unwrap());
            random.one(&[&own[..], &others, &others[..1], &far, &loopback].concat())
        }
    }
}

/// The source address; a process of the pod that sends to the pod may choose it.
fn source(
    random: &mut Random,
    origin: Origin,
    link: Option<Link>,
    target: IpAddr,
) -> Option<IpAddr> {
    let family = Family::of_address(target);
    if let Some(link) = link {
        return Some(link.other(family));
    }
    let mut links = Link::ALL.iter();
    let to_itself = target.is_loopback() || links.any(|link| link.own(family) == target);
    let passthrough = inbound_passthrough(family).ip();
    let chosen = [passthrough, Link::ETH0.own(family), family.loopback().ip()];
    (origin == Origin::Pod && to_itself && random.once_in(3)).then(|| random.one(&chosen))
}
