//! The addresses of a network namespace: which destinations are local, and through which interface
//! the others leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use super::packet::{Direction, Packet};
use crate::ruleset::Family;
use crate::value::InterfaceName;

/// What a walk needs to know of a network namespace besides its rules: addresses by interface.
///
/// `lo` with the loopback addresses always exists. A packet leaves through the interface whose
/// range contains its destination, else through the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetnsAddresses {
    interfaces: Vec<Interface>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    name: InterfaceName,
    addresses: Vec<IpNetwork>,
}

impl NetnsAddresses {
    /// A namespace with only `lo`.
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

    /// The addresses that the packet itself contains. What leaves through `lo` arrives through `lo`,
    /// so its destination is local.
    pub(super) fn of(packet: &Packet) -> Self {
        let name = packet.interface.clone().unwrap_or_else(default_interface);
        let destination = Some(packet.destination);
        let local = match packet.direction {
            Direction::In { .. } => [destination, None],
            Direction::Out { source, .. } if name == InterfaceName::loopback() => {
                [destination, source]
            }
            Direction::Out { source, .. } => [source, None],
        };
        let addresses = local
            .into_iter()
            .flatten()
            .map(|address| address.ip())
            .filter(|address| !address.is_loopback())
            .map(IpNetwork::from)
            .collect();
        Self::new().with_interface(name, addresses)
    }

    /// Whether the address is local.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let mut own = self
            .interfaces
            .iter()
            .flat_map(|interface| &interface.addresses);
        address.is_loopback() || own.any(|own| own.ip() == address)
    }

    /// The interface through which a packet for that address leaves.
    pub(super) fn exit(&self, address: IpAddr) -> InterfaceName {
        if self.contain(address) {
            return InterfaceName::loopback();
        }
        let reaches = |interface: &&Interface| {
            let mut ranges = interface.addresses.iter();
            ranges.any(|range| range.contains(address))
        };
        let on_link = self.external().find(reaches);
        on_link.map_or_else(|| self.first_interface(), |found| found.name.clone())
    }

    /// The interface for packets that name none.
    pub(super) fn first_interface(&self) -> InterfaceName {
        let first = self.external().next();
        first.map_or_else(default_interface, |interface| interface.name.clone())
    }

    /// All interfaces but `lo`.
    fn external(&self) -> impl Iterator<Item = &Interface> {
        let interfaces = self.interfaces.iter();
        interfaces.filter(|interface| interface.name != InterfaceName::loopback())
    }

    /// The primary address of an interface, to which `REDIRECT` sends what arrived through it.
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
        if self.contain(destination) {
            return destination;
        }
        self.primary(exit, family).unwrap_or(match family {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        })
    }
}

/// The name that container runtimes give a pod's interface.
fn default_interface() -> InterfaceName {
    InterfaceName::constant("eth0")
}
