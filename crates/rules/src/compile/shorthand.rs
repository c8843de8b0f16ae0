//! Short names for the matches that interception is made of, so that the rules read as such.

use ipnetwork::IpNetwork;

use crate::interception::Interception;
use mesh_cni_netfilter::ruleset::{Match, Protocol, Sense};
use mesh_cni_netfilter::value::{Gid, InterfaceName, Port, Uid};

pub(super) fn tcp() -> Match {
    Match::Protocol(Sense::Is, Protocol::Tcp)
}

pub(super) fn udp() -> Match {
    Match::Protocol(Sense::Is, Protocol::Udp)
}

pub(super) fn to_port(port: Port) -> Match {
    Match::DestinationPort(Sense::Is, port)
}

pub(super) fn not_to_port(port: Port) -> Match {
    Match::DestinationPort(Sense::IsNot, port)
}

pub(super) fn from(network: IpNetwork) -> Match {
    Match::Source(Sense::Is, network)
}

pub(super) fn to(network: IpNetwork) -> Match {
    Match::Destination(Sense::Is, network)
}

pub(super) fn not_to(network: IpNetwork) -> Match {
    Match::Destination(Sense::IsNot, network)
}

pub(super) fn comes_in(interface: &InterfaceName) -> Match {
    Match::InInterface(Sense::Is, interface.clone())
}

pub(super) fn goes_out(interface: &InterfaceName) -> Match {
    Match::OutInterface(Sense::Is, interface.clone())
}

pub(super) fn over_loopback() -> Match {
    goes_out(&InterfaceName::loopback())
}

pub(super) fn by_user(sense: Sense, user: Uid) -> Match {
    Match::OwnerUid(sense, user)
}

pub(super) fn by_group(sense: Sense, group: Gid) -> Match {
    Match::OwnerGid(sense, group)
}

pub(super) fn from_port(port: Port) -> Match {
    Match::SourcePort(Sense::Is, port)
}

/// Each way in which a packet is the proxy's: by each of its users, then by each of its groups.
pub(super) fn by_proxy(interception: &Interception) -> impl Iterator<Item = Match> {
    let users = interception.proxy_uids.iter();
    let groups = interception.proxy_gids.iter();
    let by_users = users.map(|user| by_user(Sense::Is, *user));
    by_users.chain(groups.map(|group| by_group(Sense::Is, *group)))
}
