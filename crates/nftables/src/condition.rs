//! Conditions on a packet that both ways of writing put into the same expressions.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{Family, Mark, Match, Protocol, Sense};
use mesh_cni_netfilter::value::{InterfaceName, Port};

use crate::expression::{Comparison, Expression, MetaKey, PayloadBase, Register};

/// Writes a condition for which `nf_tables` has had words from the beginning; `None` for others.
pub(crate) fn write(condition: &Match, to: &mut Vec<Expression>) -> Option<()> {
    match condition {
        Match::InInterface(sense, name) => {
            interface(MetaKey::InInterfaceName, *sense, name, to);
        }
        Match::OutInterface(sense, name) => {
            interface(MetaKey::OutInterfaceName, *sense, name, to);
        }
        Match::Protocol(sense, number) => protocol(*sense, *number, to),
        Match::Source(sense, network) => address(Side::Source, *sense, network, to),
        Match::Destination(sense, network) => address(Side::Destination, *sense, network, to),
        Match::SourcePort(sense, number) => port(Side::Source, *sense, *number, to),
        Match::DestinationPort(sense, number) => port(Side::Destination, *sense, *number, to),
        Match::Mark(sense, mark) => packet_mark(*sense, *mark, to),
        _ => return None,
    }
    Some(())
}

/// The conditions of a rule in iptables' order: interfaces, protocol, addresses, then the others as
/// they were written.
pub(crate) fn in_order<'rule>(conditions: &[&'rule Match]) -> Vec<&'rule Match> {
    let mut conditions = conditions.to_vec();
    conditions.sort_by_key(|condition| match condition {
        Match::InInterface(..) => 0,
        Match::OutInterface(..) => 1,
        Match::Protocol(..) => 2,
        Match::Source(..) => 3,
        Match::Destination(..) => 4,
        _ => 5,
    });
    conditions
}

/// Which end of a packet's way.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// The name of an interface, or what it begins with; every name is no condition.
pub(crate) fn interface(
    key: MetaKey,
    sense: Sense,
    name: &InterfaceName,
    to: &mut Vec<Expression>,
) {
    /// What iptables asks for where no interface can match.
    const NONE: &[u8] = b"INVAL/D\0";
    let name = name.as_str();
    let (comparison, data) = match (name.strip_suffix('+'), sense) {
        (Some(""), Sense::Is) => return,
        (Some(""), Sense::IsNot) => (Comparison::Equal, NONE.to_vec()),
        (Some(prefix), sense) => (comparison(sense), prefix.as_bytes().to_vec()),
        (None, sense) => (comparison(sense), [name.as_bytes(), &[0]].concat()),
    };
    to.push(Expression::Meta {
        key,
        to: Register::ONE,
    });
    to.push(compare(comparison, data));
}

/// The transport protocol.
pub(crate) fn protocol(sense: Sense, protocol: Protocol, to: &mut Vec<Expression>) {
    to.push(Expression::Meta {
        key: MetaKey::TransportProtocol,
        to: Register::ONE,
    });
    to.push(compare(comparison(sense), vec![protocol_number(protocol)]));
}

/// `IPPROTO_*`
pub(crate) fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// An address range: whole bytes are compared as they are, others under a mask.
pub(crate) fn address(side: Side, sense: Sense, network: &IpNetwork, to: &mut Vec<Expression>) {
    let (address, mask) = match (network.network(), network.mask()) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => {
            (address.octets().to_vec(), mask.octets().to_vec())
        }
        (IpAddr::V6(address), IpAddr::V6(mask)) => {
            (address.octets().to_vec(), mask.octets().to_vec())
        }
        // An address and its mask are of one family.
        _ => return,
    };
    let prefix = usize::from(network.prefix());
    if prefix == 0 && sense == Sense::Is {
        return;
    }
    let whole = prefix.is_multiple_of(8) && prefix > 0;
    let length = if whole { prefix / 8 } else { address.len() };
    to.push(Expression::Payload {
        base: PayloadBase::Network,
        offset: offset(side, network),
        length: u32::try_from(length).unwrap_or(u32::MAX),
        to: Register::ONE,
    });
    if !whole {
        to.push(Expression::Bitwise {
            from: Register::ONE,
            to: Register::ONE,
            xor: vec![0; mask.len()],
            mask,
        });
    }
    to.push(compare(comparison(sense), address[..length].to_vec()));
}

/// Where an address stands in the IP header.
fn offset(side: Side, network: &IpNetwork) -> u32 {
    match (Family::of(network), side) {
        (Family::V4, Side::Source) => 12,
        (Family::V4, Side::Destination) => 16,
        (Family::V6, Side::Source) => 8,
        (Family::V6, Side::Destination) => 24,
    }
}

/// A port: TCP and UDP begin alike.
pub(crate) fn port(side: Side, sense: Sense, port: Port, to: &mut Vec<Expression>) {
    let offset = match side {
        Side::Source => 0,
        Side::Destination => 2,
    };
    to.push(Expression::Payload {
        base: PayloadBase::Transport,
        offset,
        length: 2,
        to: Register::ONE,
    });
    let data = port.get().to_be_bytes().to_vec();
    to.push(compare(comparison(sense), data));
}

/// The packet's mark.
pub(crate) fn packet_mark(sense: Sense, mark: Mark, to: &mut Vec<Expression>) {
    to.push(Expression::Meta {
        key: MetaKey::Mark,
        to: Register::ONE,
    });
    masked(sense, mark, to);
}

/// Compares the first register with a mark, under its mask.
pub(crate) fn masked(sense: Sense, mark: Mark, to: &mut Vec<Expression>) {
    if mark.mask != u32::MAX {
        to.push(Expression::Bitwise {
            from: Register::ONE,
            to: Register::ONE,
            mask: mark.mask.to_ne_bytes().to_vec(),
            xor: vec![0; 4],
        });
    }
    to.push(compare(
        comparison(sense),
        mark.value.to_ne_bytes().to_vec(),
    ));
}

/// A comparison with the first register.
pub(crate) fn compare(comparison: Comparison, data: Vec<u8>) -> Expression {
    Expression::Compare {
        register: Register::ONE,
        comparison,
        data,
    }
}

/// The comparison of a sense.
pub(crate) fn comparison(sense: Sense) -> Comparison {
    match sense {
        Sense::Is => Comparison::Equal,
        Sense::IsNot => Comparison::NotEqual,
    }
}
