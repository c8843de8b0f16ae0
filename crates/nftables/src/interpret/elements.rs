//! Elements of a set as conditions on a packet.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{Family, Match, Sense};
use mesh_cni_netfilter::value::PortRange;

use crate::condition::{network, port_number};
use crate::field::Field;
use crate::object::{Element, Set};

/// An element that is a rule of its own.
pub(super) struct UnfoldedElement {
    pub(super) condition: Match,
    pub(super) counter: Option<(u64, u64)>,
    pub(super) place: Option<u16>,
}

/// One condition for each element, in ascending order.
pub(super) fn unfold(set: &Set, field: Field, family: Family) -> Option<Vec<UnfoldedElement>> {
    let elements = in_pairs(set).into_iter().map(|(element, next)| {
        Some(UnfoldedElement {
            condition: condition(element, next, set.interval, field, family)?,
            counter: element.counter,
            place: element.place,
        })
    });
    elements.collect()
}

/// One condition for all elements, in the order of the list that the set was made from.
pub(super) fn list(set: &Set, field: Field, inverted: bool) -> Option<Match> {
    let mut elements = in_pairs(set);
    elements.sort_by_key(|(element, _)| (element.place, &element.key));
    let ports = elements
        .into_iter()
        .map(|(element, next)| ports(element, next, set.interval))
        .collect::<Option<_>>()?;
    let sense = if inverted { Sense::IsNot } else { Sense::Is };
    (field == Field::DestinationPort).then_some(Match::DestinationPorts(sense, ports))
}

/// The elements that are not the end of a range, in ascending order, each with the one after it.
fn in_pairs(set: &Set) -> Vec<(&Element, Option<&Element>)> {
    let mut elements: Vec<_> = set.elements.iter().collect();
    // Where one range ends and the next starts, the end comes first.
    elements.sort_by_key(|element| (&element.key, !element.interval_end));
    let next = elements.iter().copied().map(Some).skip(1).chain([None]);
    let pairs = elements.iter().copied().zip(next);
    pairs.filter(|(element, _)| !element.interval_end).collect()
}

fn condition(
    element: &Element,
    next: Option<&Element>,
    interval: bool,
    field: Field,
    family: Family,
) -> Option<Match> {
    let network = || between(&element.key, next.map(|next| next.key.as_slice()), family);
    let ports = || ports(element, next, interval);
    Some(match field {
        Field::SourcePort => Match::SourcePort(Sense::Is, ports()?),
        Field::DestinationPort => Match::DestinationPort(Sense::Is, ports()?),
        Field::Source => Match::Source(Sense::Is, network()?),
        Field::Destination => Match::Destination(Sense::Is, network()?),
        _ => return None,
    })
}

/// The ports of an element: one, or in a set of ranges those before the next element.
fn ports(element: &Element, next: Option<&Element>, interval: bool) -> Option<PortRange> {
    let first = port_number(&element.key)?;
    let last = match next {
        _ if !interval => first,
        Some(next) => port_number(&next.key)?.checked_sub(1)?,
        None => u16::MAX,
    };
    PortRange::new(first, last)
}

/// The network that starts at one address and ends before another, or with the address space.
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
