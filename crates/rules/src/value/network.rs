//! Address ranges.

use std::net::IpAddr;

use super::InvalidItem;
use super::list::{invalid, items};
use crate::ruleset::Family;
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

/// What an address range has to look like.
pub const EXPECTED: &str = "an address range: allowed are CIDRs such as 10.0.0.0/8 or fd00::/8";

/// Reads a CIDR; the host's bits are cleared, as the kernel does.
///
/// The length of the prefix has to be there: a bare address is refused, as Istio does.
pub fn network(text: &str) -> Option<IpNetwork> {
    let (_, prefix) = text.split_once('/')?;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let network: IpNetwork = text.parse().ok()?;
    Some(clear_host_bits(network))
}

/// What a range has to be where rules of IPv4 alone are written.
const EXPECTED_FOUR: &str = "an IPv4 range, and here IPv4 rules alone are written (IPv6 ones follow \
    an IPv6 address: the first one, or with dual stack any)";

/// Those items of a list of ranges that no rule can carry out, since none of their family are
/// written.
pub fn unwritten_ranges(text: &str, families: &[Family]) -> Vec<InvalidItem> {
    let is_written =
        |item: &&str| network(item).is_none_or(|range| families.contains(&Family::of(&range)));
    let unwritten = items(text).filter(|item| !is_written(item));
    unwritten
        .map(|item| invalid(text, item, EXPECTED_FOUR))
        .collect()
}

/// The range with every bit behind its prefix cleared.
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

/// Reads a CIDR, or an address as the range that holds it alone.
pub(crate) fn network_or_address(text: &str) -> Option<IpNetwork> {
    if text.contains('/') {
        network(text)
    } else {
        text.parse::<IpAddr>().ok().map(IpNetwork::from)
    }
}
