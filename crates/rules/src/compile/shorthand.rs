//! Short names for the conditions of interception rules.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Gid, InterfaceName, Match, Port, PortRange, Protocol, Sense, Uid};

use crate::interception::Interception;

pub(super) fn tcp() -> Match {
    Match::Protocol(Sense::Is, Protocol::Tcp)
}

pub(super) fn udp() -> Match {
    Match::Protocol(Sense::Is, Protocol::Udp)
}

pub(super) fn to_port(ports: impl Into<PortRange>) -> Match {
    Match::DestinationPort(Sense::Is, ports.into())
}

pub(super) fn not_to_port(port: Port) -> Match {
    Match::DestinationPort(Sense::IsNot, port.into())
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

pub(super) fn arrives_through(interface: &InterfaceName) -> Match {
    Match::InInterface(Sense::Is, interface.clone())
}

pub(super) fn leaves_through(interface: &InterfaceName) -> Match {
    Match::OutInterface(Sense::Is, interface.clone())
}

pub(super) fn over_loopback() -> Match {
    leaves_through(&InterfaceName::loopback())
}

pub(super) fn by_user(sense: Sense, user: Uid) -> Match {
    Match::OwnerUid(sense, user.into())
}

pub(super) fn by_group(sense: Sense, group: Gid) -> Match {
    Match::OwnerGid(sense, group.into())
}

pub(super) fn from_port(port: Port) -> Match {
    Match::SourcePort(Sense::Is, port.into())
}

/// One condition for each user of the proxy, then one for each group.
pub(super) fn by_proxy(interception: &Interception) -> impl Iterator<Item = Match> {
    let groups = interception.proxy_gids.iter();
    interception
        .proxy_uids
        .iter()
        .map(|user| by_user(Sense::Is, *user))
        .chain(groups.map(|group| by_group(Sense::Is, *group)))
}
