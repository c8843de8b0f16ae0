//! The addresses of a network namespace.

use std::net::{IpAddr, Ipv6Addr};
use std::{fs, io};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

/// Every IPv4 and IPv6 address of the calling thread's namespace, as the kernel lists them:
/// IPv4 first, each family in the order of its interfaces.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = getifaddrs()?;
    let addresses = interfaces.filter_map(|interface| ip(&interface.address?));
    Ok(addresses.collect())
}

/// The IPv6 addresses of the calling thread's namespace, read from one file. Faster than
/// [`addresses`], for callers that ask for every pod and usually find none.
pub fn ipv6_addresses() -> io::Result<Vec<Ipv6Addr>> {
    let table = match fs::read_to_string("/proc/thread-self/net/if_inet6") {
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
