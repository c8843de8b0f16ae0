//! The addresses of a network namespace, in the order of its interfaces.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// Every IPv4 and IPv6 address of the calling thread's namespace.
pub(crate) fn here() -> io::Result<Vec<IpAddr>> {
    let interfaces = getifaddrs()?;
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
    });
    Ok(addresses.collect())
}

/// Whether a pod can be reached by one of them.
pub(crate) fn any_is_usable(addresses: &[IpAddr]) -> bool {
    addresses.iter().any(|address| is_usable(*address))
}

/// Whether a pod can be reached by it: loopback and link-local addresses do not count.
pub(crate) fn is_usable(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    !link_local && !address.is_loopback() && !address.is_unspecified()
}
