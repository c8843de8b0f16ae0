//! Interface addresses, and whether a pod can be reached by them.

use std::net::IpAddr;

use mesh_cni_rules::interception::is_usable;
use nix::sys::socket::SockaddrStorage;

/// The IPv4 or IPv6 address; none for other address families.
pub(crate) fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
    four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
}

/// Whether a pod can be reached by one of them.
pub(crate) fn any_is_usable(addresses: &[IpAddr]) -> bool {
    addresses.iter().any(|address| is_usable(*address))
}
