//! The address family of a rule set.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
/// IPv4 (`iptables`) or IPv6 (`ip6tables`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, programmed with `iptables`.
    V4,
    /// IPv6, programmed with `ip6tables`.
    V6,
}

impl Family {
    /// Both families, IPv4 first.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address range.
    pub fn of(network: &IpNetwork) -> Self {
        match network {
            IpNetwork::V4(_) => Self::V4,
            IpNetwork::V6(_) => Self::V6,
        }
    }

    /// The family of an address.
    pub fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The loopback address of the family: 127.0.0.1/32 or `::1/128`.
    pub fn loopback(self) -> IpNetwork {
        match self {
            Self::V4 => host_v4(Ipv4Addr::LOCALHOST),
            Self::V6 => host_v6(Ipv6Addr::LOCALHOST),
        }
    }

    /// Every address of the family: 0.0.0.0/0 or `::/0`.
    pub fn anywhere(self) -> &'static str {
        match self {
            Self::V4 => "0.0.0.0/0",
            Self::V6 => "::/0",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

fn host_v4(address: Ipv4Addr) -> IpNetwork {
    IpNetwork::V4(Ipv4Network::from(address))
}

fn host_v6(address: Ipv6Addr) -> IpNetwork {
    IpNetwork::V6(Ipv6Network::from(address))
}
