//! Elements of a set as conditions on a packet.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{Family, Match, Sense};

use super::field::{Field, network, port};
use crate::object::Set;

/// An element that stands for a rule of its own.
pub(super) struct Element {
    pub(super) condition: Match,
    pub(super) counter: Option<(u64, u64)>,
    pub(super) place: Option<u16>,
}

/// One condition for each element, in ascending order.
pub(super) fn unfold(set: &Set, field: Field, family: Family) -> Option<Vec<Element>> {
    match field {
        Field::SourcePort | Field::DestinationPort => ports(set, field),
        Field::Source | Field::Destination => networks(set, field, family),
        _ => None,
    }
}

/// One condition for all of them, in the order in which they were named.
pub(super) fn list(set: &Set, field: Field, inverted: bool) -> Option<Match> {
    let mut elements: Vec<_> = set.elements.iter().collect();
    elements.sort_by_key(|element| (element.place, &element.key));
    let ports = elements.into_iter().map(|element| port(&element.key));
    let ports = ports.collect::<Option<Vec<_>>>()?;
    let sense = if inverted { Sense::IsNot } else { Sense::Is };
    (field == Field::DestinationPort).then_some(Match::DestinationPorts(sense, ports))
}

fn ports(set: &Set, field: Field) -> Option<Vec<Element>> {
    let mut elements: Vec<_> = set.elements.iter().collect();
    elements.sort_by(|one, other| one.key.cmp(&other.key));
    let read = elements.into_iter().map(|element| {
        let port = port(&element.key)?;
        Some(Element {
            condition: match field {
                Field::SourcePort => Match::SourcePort(Sense::Is, port),
                _ => Match::DestinationPort(Sense::Is, port),
            },
            counter: element.counter,
            place: element.place,
        })
    });
    read.collect()
}

/// Each range begins at one element and ends before the next, or with the address space.
fn networks(set: &Set, field: Field, family: Family) -> Option<Vec<Element>> {
    let mut elements: Vec<_> = set.elements.iter().collect();
    // Where one range ends and the next begins, the end comes first.
    elements.sort_by(|one, other| {
        let order = one.key.cmp(&other.key);
        order.then(other.interval_end.cmp(&one.interval_end))
    });
    let mut read = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        if element.interval_end {
            continue;
        }
        let next = elements[at + 1..].first();
        let range = between(&element.key, next.map(|next| next.key.as_slice()), family)?;
        read.push(Element {
            condition: match field {
                Field::Source => Match::Source(Sense::Is, range),
                _ => Match::Destination(Sense::Is, range),
            },
            counter: element.counter,
            place: element.place,
        });
    }
    Some(read)
}

/// The network from one address to before another.
fn between(first: &[u8], next: Option<&[u8]>, family: Family) -> Option<IpNetwork> {
    let bits = u32::try_from(first.len()).ok()? * 8;
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte))
    };
    let first_number = number(first);
    let host_bits = match next {
        Some(next) => {
            let size = number(next).checked_sub(first_number)?;
            size.is_power_of_two().then(|| size.trailing_zeros())?
        }
        // To the end of the address space.
        None => bits.checked_sub(leading_ones(first_number, bits))?,
    };
    let aligned = first_number.checked_shr(host_bits).unwrap_or(0) << host_bits.min(127);
    if aligned != first_number {
        return None;
    }
    let prefix = u8::try_from(bits.checked_sub(host_bits)?).ok()?;
    let address = network(first, None, family)?.ip();
    IpNetwork::new(address, prefix).ok()
}

fn leading_ones(number: u128, bits: u32) -> u32 {
    (number << (128 - bits)).leading_ones()
}
