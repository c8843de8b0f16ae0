//! The addresses of a network namespace, in the order of its interfaces.

use std::io;
use std::net::IpAddr;

use mesh_cni_rules::interception::is_usable;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

/// Every IPv4 and IPv6 address of the calling thread's namespace.
pub(crate) fn here() -> io::Result<Vec<IpAddr>> {
    let interfaces = getifaddrs()?;
    let addresses = interfaces.filter_map(|interface| ip(&interface.address?));
    Ok(addresses.collect())
}

/// The IPv4 or IPv6 address, where it is one.
pub(crate) fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
    four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
}

/// Whether a pod can be reached by one of them.
pub(crate) fn any_is_usable(addresses: &[IpAddr]) -> bool {
    addresses.iter().any(|address| is_usable(*address))
}
