//! The pod's addresses and routes: what is for the pod itself, and by which interface the rest
//! leaves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use super::packet::{Direction, Packet};
use crate::ruleset::Family;
use crate::value::InterfaceName;

/// What a walk has to know of the namespace beside its rules: addresses by interface.
///
/// `lo` with its loopback addresses is always there. A destination leaves by the interface whose
/// range holds it, else by the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    interfaces: Vec<Interface>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    name: InterfaceName,
    addresses: Vec<IpNetwork>,
}

impl Host {
    /// A namespace with `lo` alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// A pod with these addresses on `eth0`.
    pub fn pod(addresses: &[IpAddr]) -> Self {
        let addresses = addresses.iter().copied().map(IpNetwork::from).collect();
        Self::new().with_interface(default_interface(), addresses)
    }

    /// The same with one more interface; its first address of a family is its primary one.
    #[must_use]
    pub fn with_interface(mut self, name: InterfaceName, addresses: Vec<IpNetwork>) -> Self {
        self.interfaces.push(Interface { name, addresses });
        self
    }

    /// What the packet itself says of the pod in which it walks.
    pub(super) fn of(packet: &Packet) -> Self {
        let own = match packet.direction {
            Direction::In { .. } => Some(packet.destination.ip()),
            Direction::Out { source, .. } => source.map(|source| source.ip()),
        };
        let own = own.filter(|address| !address.is_loopback());
        let name = packet.interface.clone().unwrap_or_else(default_interface);
        let addresses = own.map(IpNetwork::from).into_iter().collect();
        Self::new().with_interface(name, addresses)
    }

    /// Whether that address is the pod's own.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let mut interfaces = self.interfaces.iter();
        address.is_loopback() || interfaces.any(|interface| interface.has(address))
    }

    /// By which interface a packet for that address leaves.
    pub(super) fn exit(&self, address: IpAddr) -> InterfaceName {
        if self.has(address) {
            return InterfaceName::loopback();
        }
        let mut interfaces = self.beyond();
        let on_link = interfaces.find(|interface| interface.reaches(address));
        on_link.map_or_else(|| self.first_interface(), |found| found.name.clone())
    }

    /// The interface by which packets come and go where nothing else is said.
    pub(super) fn first_interface(&self) -> InterfaceName {
        let first = self.beyond().next();
        first.map_or_else(default_interface, |interface| interface.name.clone())
    }

    /// All but `lo`: what leaves by that comes in again, so nothing for elsewhere may.
    fn beyond(&self) -> impl Iterator<Item = &Interface> {
        let interfaces = self.interfaces.iter();
        interfaces.filter(|interface| interface.name != InterfaceName::loopback())
    }

    /// The primary address of an interface: where `REDIRECT` sends what came in by it.
    pub(super) fn primary(&self, name: &InterfaceName, family: Family) -> Option<IpAddr> {
        if *name == InterfaceName::loopback() {
            return Some(family.loopback().ip());
        }
        let mut interfaces = self.interfaces.iter();
        let interface = interfaces.find(|interface| interface.name == *name)?;
        let mut addresses = interface.addresses.iter().map(IpNetwork::ip);
        addresses.find(|address| Family::of_address(*address) == family)
    }

    /// The source address that the kernel chooses for a destination.
    pub(super) fn source_for(&self, destination: IpAddr, exit: &InterfaceName) -> IpAddr {
        let family = Family::of_address(destination);
        if destination.is_loopback() {
            return family.loopback().ip();
        }
        if self.has(destination) {
            return destination;
        }
        let primary = self.primary(exit, family);
        primary.unwrap_or_else(|| unspecified(family))
    }
}

impl Interface {
    fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.ip() == address)
    }

    fn reaches(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.contains(address))
    }
}

/// The name that container runtimes give a pod's interface.
fn default_interface() -> InterfaceName {
    InterfaceName::parse("eth0").expect("the kernel takes this name")
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}
