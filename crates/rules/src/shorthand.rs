//! Short names for the conditions of interception rules.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Gid, InterfaceName, Match, Port, PortRange, Protocol, Sense, Uid};

pub(crate) fn tcp() -> Match {
    Match::Protocol(Sense::Is, Protocol::Tcp)
}

pub(crate) fn udp() -> Match {
    Match::Protocol(Sense::Is, Protocol::Udp)
}

pub(crate) fn to_port(ports: impl Into<PortRange>) -> Match {
    Match::DestinationPort(Sense::Is, ports.into())
}

pub(crate) fn not_to_port(port: Port) -> Match {
    Match::DestinationPort(Sense::IsNot, port.into())
}

pub(crate) fn from(network: IpNetwork) -> Match {
    Match::Source(Sense::Is, network)
}

pub(crate) fn to(network: IpNetwork) -> Match {
    Match::Destination(Sense::Is, network)
}

pub(crate) fn not_to(network: IpNetwork) -> Match {
    Match::Destination(Sense::IsNot, network)
}

pub(crate) fn arrives_through(interface: &InterfaceName) -> Match {
    Match::InInterface(Sense::Is, interface.clone())
}

pub(crate) fn leaves_through(interface: &InterfaceName) -> Match {
    Match::OutInterface(Sense::Is, interface.clone())
}

pub(crate) fn over_loopback() -> Match {
    leaves_through(&InterfaceName::loopback())
}

pub(crate) fn by_user(sense: Sense, user: Uid) -> Match {
    Match::OwnerUid(sense, user.into())
}

pub(crate) fn by_group(sense: Sense, group: Gid) -> Match {
    Match::OwnerGid(sense, group.into())
}

pub(crate) fn from_port(port: Port) -> Match {
    Match::SourcePort(Sense::Is, port.into())
}
