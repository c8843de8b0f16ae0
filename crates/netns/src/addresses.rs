//! The addresses of a network namespace.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::{fs, io};

use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, Parseable};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use nix::ifaddrs::getifaddrs;
use nix::libc::RTM_NEWADDR;
use nix::sys::socket::SockaddrStorage;

use crate::policy_route::LOOPBACK;
use crate::routing_message::Request;
use crate::rtnetlink::Rtnetlink;

/// The IPv6 addresses of the calling thread's namespace. A kernel without IPv6 has no such file.
const IF_INET6: &str = "/proc/thread-self/net/if_inet6";

/// Whether the kernel has IPv6. It has none if it was built without, or started with `ipv6.disable=1`;
/// the settings `disable_ipv6` of a namespace can change at any time and do not count.
pub fn has_ipv6() -> bool {
    Path::new(IF_INET6).exists()
}

/// Every IPv4 and IPv6 address of the calling thread's namespace, as the kernel lists them:
/// IPv4 first, each family in the order of its interfaces.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = getifaddrs()?;
    let addresses = interfaces.filter_map(|interface| ip(&interface.address?));
    Ok(addresses.collect())
}

/// The addresses on the interfaces of the calling thread's namespace, except on the loopback
/// interface: those that identify the namespace to other hosts.
///
/// A process can bind to other addresses too, for example with `net.ipv4.ip_nonlocal_bind`.
pub fn interface_addresses() -> io::Result<Vec<IpAddr>> {
    let request = Request::GetAddresses(AddressMessage::default());
    let found = Rtnetlink::open()?.dump::<InterfaceAddress>(request)?;
    Ok(found.into_iter().filter_map(|found| found.0).collect())
}

/// A message of a dump of addresses; `None` on the loopback interface, and for other messages.
struct InterfaceAddress(Option<IpAddr>);

impl NetlinkDeserializable for InterfaceAddress {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        if header.message_type != RTM_NEWADDR {
            return Ok(Self(None));
        }
        let message = AddressMessage::parse(payload)?;
        if message.header.index == LOOPBACK {
            return Ok(Self(None));
        }
        let (mut local, mut address) = (None, None);
        for attribute in message.attributes {
            match attribute {
                AddressAttribute::Local(ip) => local = Some(ip),
                AddressAttribute::Address(ip) => address = Some(ip),
                _ => {}
            }
        }
        // On a point-to-point interface `IFA_ADDRESS` is the peer's (linux/if_addr.h).
        Ok(Self(local.or(address)))
    }
}

/// The IPv6 addresses of the calling thread's namespace, read from one file. Faster than
/// [`addresses`], for callers that ask for every pod and usually find none.
pub fn ipv6_addresses() -> io::Result<Vec<Ipv6Addr>> {
    let table = match fs::read_to_string(IF_INET6) {
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        table => table?,
    };
    table.lines().map(ipv6).collect()
}

/// A line begins with the address, in 32 hexadecimal digits (`if6_seq_show`, `net/ipv6/addrconf.c`).
fn ipv6(line: &str) -> io::Result<Ipv6Addr> {
    let digits = line.split_whitespace().next();
    let bits = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
    bits.map(Ipv6Addr::from_bits).ok_or_else(|| {
        let message = format!("`{line}` in if_inet6 does not begin with an address");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let ipv4 = address.as_sockaddr_in().map(|ipv4| IpAddr::V4(ipv4.ip()));
    ipv4.or_else(|| address.as_sockaddr_in6().map(|ipv6| IpAddr::V6(ipv6.ip())))
}
