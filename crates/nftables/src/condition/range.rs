//! Conditions that a port or an id is in a range, as expressions and back.

use mesh_cni_netfilter::ruleset::{Match, Sense};
use mesh_cni_netfilter::value::{Gid, IdRange, Port, PortRange, Uid};

use super::{compare, equality, host_order, sense};
use crate::expression::{Comparison, Expression, Register};
use crate::field::Field;
use crate::uapi::nf_tables::NFT_BYTEORDER_HTON;

/// The condition that an id is between two ids in network byte order, or outside.
pub(crate) fn ids(
    field: Field,
    comparison: Comparison,
    first: &[u8],
    last: &[u8],
) -> Option<Match> {
    let sense = sense(comparison)?;
    let id = |data: &[u8]| data.try_into().ok().map(u32::from_be_bytes);
    let (first, last) = (id(first)?, id(last)?);
    match field {
        Field::SocketUid => {
            let users = IdRange::new(Uid(first), Uid(last))?;
            Some(Match::OwnerUid(sense, users))
        }
        Field::SocketGid => {
            let groups = IdRange::new(Gid(first), Gid(last))?;
            Some(Match::OwnerGid(sense, groups))
        }
        _ => None,
    }
}

/// The condition that a port is between two ports in network byte order, or outside.
pub(crate) fn ports(
    field: Field,
    comparison: Comparison,
    first: &[u8],
    last: &[u8],
) -> Option<Match> {
    let sense = sense(comparison)?;
    let ports = PortRange::new(port_number(first)?, port_number(last)?)?;
    match field {
        Field::SourcePort => Some(Match::SourcePort(sense, ports)),
        Field::DestinationPort => Some(Match::DestinationPort(sense, ports)),
        _ => None,
    }
}

/// Compares with an id, or with the bounds of a range: for that the kernel compares bytes, so the
/// most significant one must be the first.
pub(super) fn write_ids(
    load: Expression,
    sense: Sense,
    (first, last): (u32, u32),
    to: &mut Vec<Expression>,
) {
    to.push(load);
    if first == last {
        to.push(compare(sense, host_order(first)));
        return;
    }
    let register = Register::ONE;
    to.push(Expression::ByteOrder {
        from: register,
        to: register,
        direction: NFT_BYTEORDER_HTON,
        length: 4,
        size: 4,
    });
    to.push(Expression::Range {
        register,
        comparison: equality(sense),
        first: first.to_be_bytes().to_vec(),
        last: last.to_be_bytes().to_vec(),
    });
}

/// Compares with a port, or with the bounds of a range.
pub(super) fn write_ports(
    load: Expression,
    sense: Sense,
    ports: PortRange,
    to: &mut Vec<Expression>,
) {
    let register = Register::ONE;
    let [first, last] = [ports.first(), ports.last()].map(|port| port.to_be_bytes().to_vec());
    let condition = if (ports, sense) == (PortRange::ALL, Sense::Is) {
        return;
    } else if first == last {
        compare(sense, first)
    } else if has_only_upper_bound(ports) {
        Expression::Compare {
            register,
            comparison: match sense {
                Sense::Is => Comparison::LessOrEqual,
                Sense::IsNot => Comparison::Greater,
            },
            data: last,
        }
    } else {
        Expression::Range {
            register,
            comparison: equality(sense),
            first,
            last,
        }
    };
    to.extend([load, condition]);
}

/// Whether a range of ports is compared with its last one only, as iptables does from port 0 on.
pub(crate) fn has_only_upper_bound(ports: PortRange) -> bool {
    ports.first() == 0 && (1..u16::MAX).contains(&ports.last())
}

/// A port in network byte order.
pub(crate) fn port_key(port: Port) -> Vec<u8> {
    port.get().to_be_bytes().to_vec()
}

/// The port of bytes in network byte order.
pub(crate) fn port(data: &[u8]) -> Option<Port> {
    port_number(data).and_then(Port::new)
}

/// The same, or 0.
pub(crate) fn port_number(data: &[u8]) -> Option<u16> {
    data.try_into().ok().map(u16::from_be_bytes)
}
