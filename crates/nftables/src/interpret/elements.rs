//! Elements of a set as conditions on a packet.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{Family, Match, Sense};

use crate::condition::{network, port};
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
    let mut elements: Vec<_> = set.elements.iter().collect();
    // Where one range ends and the next starts, the end comes first.
    elements.sort_by_key(|element| (&element.key, !element.interval_end));
    elements
        .iter()
        .enumerate()
        .filter(|(_, element)| !element.interval_end)
        .map(|(at, element)| {
            let next = elements.get(at + 1).copied();
            Some(UnfoldedElement {
                condition: condition(element, next, field, family)?,
                counter: element.counter,
                place: element.place,
            })
        })
        .collect()
}

/// One condition for all elements, in the order of the list that the set was made from.
pub(super) fn list(set: &Set, field: Field, inverted: bool) -> Option<Match> {
    let mut elements: Vec<_> = set.elements.iter().collect();
    elements.sort_by_key(|element| (element.place, &element.key));
    let ports = elements
        .into_iter()
        .map(|element| port(&element.key))
        .collect::<Option<_>>()?;
    let sense = if inverted { Sense::IsNot } else { Sense::Is };
    (field == Field::DestinationPort).then_some(Match::DestinationPorts(sense, ports))
}

fn condition(
    element: &Element,
    next: Option<&Element>,
    field: Field,
    family: Family,
) -> Option<Match> {
    let range = || between(&element.key, next.map(|next| next.key.as_slice()), family);
    Some(match field {
        Field::SourcePort => Match::SourcePort(Sense::Is, port(&element.key)?),
        Field::DestinationPort => Match::DestinationPort(Sense::Is, port(&element.key)?),
        Field::Source => Match::Source(Sense::Is, range()?),
        Field::Destination => Match::Destination(Sense::Is, range()?),
        _ => return None,
    })
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
