//! Conditions of a rule that are comparisons of one field, as expressions and back.

mod range;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{ConntrackState, Family, Mark, Match, Protocol, Sense};
use mesh_cni_netfilter::value::{Gid, InterfaceName, Uid};

use crate::expression::{Comparison, Expression, Register};
use crate::field::Field;
use crate::uapi::netfilter::r#in::{IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};
use crate::uapi::netfilter::nf_conntrack_common::{
    IP_CT_ESTABLISHED, IP_CT_NEW, IP_CT_RELATED, NF_CT_STATE_INVALID_BIT, nf_ct_state_bit,
};
use crate::uapi::netfilter::tcp::{TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN};

pub(crate) use range::{has_only_upper_bound, ids, port, port_key, port_number, ports};
use range::{write_ids, write_ports};

/// The flags that `--syn` compares.
pub(crate) const OPENING_FLAGS: u8 = TCPHDR_FIN | TCPHDR_SYN | TCPHDR_RST | TCPHDR_ACK;

/// What iptables compares an interface with that must not match: no interface has this name.
pub(crate) const NO_INTERFACE: &str = "INVAL/D";

/// The conditions of a rule in the order in which iptables writes them: interfaces, protocol,
/// addresses, then the others as they are.
pub(crate) fn in_order<'rule>(
    conditions: impl IntoIterator<Item = &'rule Match>,
) -> Vec<&'rule Match> {
    let mut conditions: Vec<_> = conditions.into_iter().collect();
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

/// Appends the expressions of a condition; `None` for one that is not a comparison of one field.
pub(crate) fn write(condition: &Match, family: Family, to: &mut Vec<Expression>) -> Option<()> {
    let mut push = |field: Field, mask: Option<Vec<u8>>, sense: Sense, data: Vec<u8>| {
        to.push(field.load(family));
        to.extend(mask.map(masked));
        to.push(compare(sense, data));
    };
    match condition {
        Match::InInterface(sense, name) | Match::OutInterface(sense, name) => {
            let field = match condition {
                Match::InInterface(..) => Field::InInterface,
                _ => Field::OutInterface,
            };
            let name = name.as_str();
            match (name.strip_suffix('+'), sense) {
                // Every name starts with the empty prefix.
                (Some(""), Sense::Is) => {}
                (Some(""), Sense::IsNot) => push(field, None, Sense::Is, terminated(NO_INTERFACE)),
                (Some(prefix), sense) => push(field, None, *sense, prefix.into()),
                (None, sense) => push(field, None, *sense, terminated(name)),
            }
        }
        Match::Source(sense, network) => write_address(Field::Source, *sense, network, to),
        Match::Destination(sense, network) => {
            write_address(Field::Destination, *sense, network, to);
        }
        Match::Protocol(sense, protocol) => {
            push(
                Field::Protocol,
                None,
                *sense,
                vec![protocol_number(*protocol)],
            );
        }
        Match::SourcePort(sense, ports) => {
            write_ports(Field::SourcePort.load(family), *sense, *ports, to);
        }
        Match::DestinationPort(sense, ports) => {
            write_ports(Field::DestinationPort.load(family), *sense, *ports, to);
        }
        Match::TcpSyn(sense) => {
            push(
                Field::TcpFlags,
                Some(vec![OPENING_FLAGS]),
                *sense,
                vec![TCPHDR_SYN],
            );
        }
        Match::Icmpv6Type(sense, number) if family == Family::V6 => {
            push(Field::Icmpv6Type, None, *sense, vec![*number]);
        }
        Match::OwnerUid(sense, users) => {
            let ids = (users.first().0, users.last().0);
            write_ids(Field::SocketUid.load(family), *sense, ids, to);
        }
        Match::OwnerGid(sense, groups) => {
            let ids = (groups.first().0, groups.last().0);
            write_ids(Field::SocketGid.load(family), *sense, ids, to);
        }
        Match::Mark(sense, mark) => {
            push(Field::Mark, mask_of(*mark), *sense, host_order(mark.value));
        }
        Match::Connmark(sense, mark) => {
            push(
                Field::Connmark,
                mask_of(*mark),
                *sense,
                host_order(mark.value),
            );
        }
        // One of the states: their bits are not all zero.
        Match::ConntrackState(sense, states) => {
            let mask = Some(host_order(state_bits(states).into()));
            push(Field::ConntrackState, mask, inverse(*sense), host_order(0));
        }
        _ => return None,
    }
    Some(())
}

/// The condition that compares a field, under a mask if there is one.
pub(crate) fn read(
    field: Field,
    mask: Option<&[u8]>,
    comparison: Comparison,
    data: &[u8],
    family: Family,
) -> Option<Match> {
    let sense = match comparison {
        Comparison::Equal => Sense::Is,
        Comparison::NotEqual => Sense::IsNot,
        Comparison::LessOrEqual if mask.is_none() => {
            return ports(field, Comparison::Equal, &[0, 0], data);
        }
        // Like iptables, which writes this for `! --dport 0:LAST` too.
        Comparison::Greater if mask.is_none() => {
            let first = port_number(data)?.checked_add(1)?.to_be_bytes();
            return ports(field, Comparison::Equal, &first, &[u8::MAX; 2]);
        }
        _ => return None,
    };
    Some(match (field, mask) {
        (Field::Mark, mask) => Match::Mark(sense, mark(data, mask)?),
        (Field::Connmark, mask) => Match::Connmark(sense, mark(data, mask)?),
        (Field::Source, mask) => Match::Source(sense, network(data, mask, family)?),
        (Field::Destination, mask) => Match::Destination(sense, network(data, mask, family)?),
        (Field::ConntrackState, Some(mask)) if number(data)? == 0 => {
            Match::ConntrackState(inverse(sense), states(number(mask)?)?)
        }
        (Field::InInterface, None) => Match::InInterface(sense, interface(data)?),
        (Field::OutInterface, None) => Match::OutInterface(sense, interface(data)?),
        (Field::Protocol, None) => Match::Protocol(sense, protocol(data)?),
        (Field::SourcePort | Field::DestinationPort, None) => ports(field, comparison, data, data)?,
        (Field::TcpFlags, Some([OPENING_FLAGS])) if data == [TCPHDR_SYN] => Match::TcpSyn(sense),
        (Field::Icmpv6Type, None) if family == Family::V6 => {
            Match::Icmpv6Type(sense, *data.first()?)
        }
        (Field::SocketUid, None) => Match::OwnerUid(sense, Uid(number(data)?).into()),
        (Field::SocketGid, None) => Match::OwnerGid(sense, Gid(number(data)?).into()),
        _ => return None,
    })
}

fn sense(comparison: Comparison) -> Option<Sense> {
    match comparison {
        Comparison::Equal => Some(Sense::Is),
        Comparison::NotEqual => Some(Sense::IsNot),
        _ => None,
    }
}

/// Bits of the conntrack states, as in `ct state` and in `struct xt_conntrack_mtinfo3`.
pub(crate) fn state_bits(states: &[ConntrackState]) -> u16 {
    let bit = |state: &ConntrackState| match state {
        ConntrackState::Invalid => NF_CT_STATE_INVALID_BIT,
        ConntrackState::Established => nf_ct_state_bit(IP_CT_ESTABLISHED),
        ConntrackState::Related => nf_ct_state_bit(IP_CT_RELATED),
        ConntrackState::New => nf_ct_state_bit(IP_CT_NEW),
    };
    states.iter().map(bit).fold(0, std::ops::BitOr::bitor)
}

/// The states of all bits in a mask; `None` if it has other bits.
pub(crate) fn states(mask: u32) -> Option<Vec<ConntrackState>> {
    let states: Vec<_> = ConntrackState::ALL
        .into_iter()
        .filter(|state| mask & u32::from(state_bits(&[*state])) != 0)
        .collect();
    (u32::from(state_bits(&states)) == mask).then_some(states)
}

/// A whole name of an interface is compared with its NUL, a prefix without one.
fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn interface(data: &[u8]) -> Option<InterfaceName> {
    let text = match data.iter().position(|byte| *byte == 0) {
        Some(end) => std::str::from_utf8(&data[..end]).ok()?.to_owned(),
        None => format!("{}+", std::str::from_utf8(data).ok()?),
    };
    text.parse().ok()
}

/// Compares as many whole bytes as the prefix has, or the address under a mask.
fn write_address(field: Field, sense: Sense, network: &IpNetwork, to: &mut Vec<Expression>) {
    let (mut address, mask) = (octets(network.network()), octets(network.mask()));
    let prefix = network.prefix();
    if prefix == 0 && sense == Sense::Is {
        return;
    }
    let whole = prefix.is_multiple_of(8) && prefix > 0;
    let mut load = field.load(Family::of(network));
    if whole {
        address.truncate(usize::from(prefix / 8));
        if let Expression::Payload { length, .. } = &mut load {
            *length = u32::from(prefix / 8);
        }
    }
    to.push(load);
    to.extend((!whole).then(|| masked(mask)));
    to.push(compare(sense, address));
}

/// The network of compared bytes: without a mask the number of bytes is the prefix.
pub(crate) fn network(data: &[u8], mask: Option<&[u8]>, family: Family) -> Option<IpNetwork> {
    let prefix = match mask {
        Some(mask) => prefix(mask)?,
        None => u8::try_from(data.len() * 8).ok()?,
    };
    let address = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(padded::<4>(data)?)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(padded::<16>(data)?)),
    };
    IpNetwork::new(address, prefix).ok()
}

fn padded<const LENGTH: usize>(data: &[u8]) -> Option<[u8; LENGTH]> {
    let mut whole = [0; LENGTH];
    whole.get_mut(..data.len())?.copy_from_slice(data);
    Some(whole)
}

/// The length of a mask's prefix; `None` if the mask is not one.
fn prefix(mask: &[u8]) -> Option<u8> {
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let leading: u32 = mask
        .chunk_by(|byte, _next| *byte == u8::MAX)
        .next()?
        .iter()
        .map(|byte| byte.leading_ones())
        .sum();
    (ones == leading).then(|| u8::try_from(leading).ok())?
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => IPPROTO_TCP,
        Protocol::Udp => IPPROTO_UDP,
        Protocol::Icmpv6 => IPPROTO_ICMPV6,
    }
}

fn protocol(data: &[u8]) -> Option<Protocol> {
    match data {
        [IPPROTO_TCP] => Some(Protocol::Tcp),
        [IPPROTO_UDP] => Some(Protocol::Udp),
        [IPPROTO_ICMPV6] => Some(Protocol::Icmpv6),
        _ => None,
    }
}

fn mask_of(mark: Mark) -> Option<Vec<u8>> {
    (mark.mask != u32::MAX).then(|| host_order(mark.mask))
}

fn mark(data: &[u8], mask: Option<&[u8]>) -> Option<Mark> {
    Some(Mark {
        value: number(data)?,
        mask: mask.map_or(Some(u32::MAX), number)?,
    })
}

/// A number in host byte order.
pub(crate) fn host_order(number: u32) -> Vec<u8> {
    number.to_ne_bytes().to_vec()
}

/// The number of bytes in host byte order.
pub(crate) fn number(data: &[u8]) -> Option<u32> {
    data.try_into().ok().map(u32::from_ne_bytes)
}

/// The bytes of an address, in network byte order.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Changes the first register: `(register & mask) ^ xor`.
pub(crate) fn bitwise(mask: Vec<u8>, xor: Vec<u8>) -> Expression {
    Expression::Bitwise {
        from: Register::ONE,
        to: Register::ONE,
        mask,
        xor,
    }
}

fn masked(mask: Vec<u8>) -> Expression {
    let xor = vec![0; mask.len()];
    bitwise(mask, xor)
}

fn compare(sense: Sense, data: Vec<u8>) -> Expression {
    Expression::Compare {
        register: Register::ONE,
        comparison: equality(sense),
        data,
    }
}

fn equality(sense: Sense) -> Comparison {
    match sense {
        Sense::Is => Comparison::Equal,
        Sense::IsNot => Comparison::NotEqual,
    }
}

fn inverse(sense: Sense) -> Sense {
    match sense {
        Sense::Is => Sense::IsNot,
        Sense::IsNot => Sense::Is,
    }
}
