//! Address ranges.

use std::net::IpAddr;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use super::InvalidValue;

/// The valid address ranges, as an error message describes them.
const EXPECTED: &str = "an address range: allowed are CIDRs such as 10.0.0.0/8 or fd00::/8";

/// Parses a CIDR and clears its host bits, as the kernel does.
///
/// The prefix length is required and must be a number: an address alone is refused.
pub fn network(text: &str) -> Result<IpNetwork, InvalidValue> {
    let prefix = text.split_once('/').map_or("", |(_, prefix)| prefix);
    let has_length = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let network: Option<IpNetwork> = text.parse().ok().filter(|_| has_length);
    network
        .map(clear_host_bits)
        .ok_or(InvalidValue { expected: EXPECTED })
}

/// Parses a CIDR, or an address as the range that contains only it.
pub(crate) fn network_or_address(text: &str) -> Option<IpNetwork> {
    if text.contains('/') {
        network(text).ok()
    } else {
        text.parse::<IpAddr>().ok().map(IpNetwork::from)
    }
}

fn clear_host_bits(network: IpNetwork) -> IpNetwork {
    match network {
        IpNetwork::V4(range) => {
            Ipv4Network::new(range.network(), range.prefix()).map_or(network, IpNetwork::V4)
        }
        IpNetwork::V6(range) => {
            Ipv6Network::new(range.network(), range.prefix()).map_or(network, IpNetwork::V6)
        }
    }
}
