//! Fields of a packet in a register, and what a comparison with one asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{
    ChainName, ConntrackState, Family, Mark, Match, Protocol, Sense, Target,
};
use mesh_cni_netfilter::value::{Gid, InterfaceName, Port, Uid};

use crate::expression::{Comparison, CtKey, Expression, MetaKey, PayloadBase, Verdict};
use crate::native;

/// Something about a packet that the model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    InInterface,
    OutInterface,
    Protocol,
    Mark,
    Connmark,
    ConntrackState,
    SocketUid,
    SocketGid,
    Source,
    Destination,
    SourcePort,
    DestinationPort,
}

impl Field {
    /// What an expression loads.
    pub(super) fn of(expression: &Expression, family: Family) -> Option<Self> {
        Some(match expression {
            Expression::Meta { key, .. } => match key {
                MetaKey::InInterfaceName => Self::InInterface,
                MetaKey::OutInterfaceName => Self::OutInterface,
                MetaKey::TransportProtocol => Self::Protocol,
                MetaKey::Mark => Self::Mark,
                MetaKey::SocketUid => Self::SocketUid,
                MetaKey::SocketGid => Self::SocketGid,
                _ => return None,
            },
            Expression::Ct { key, .. } => match key {
                CtKey::Mark => Self::Connmark,
                CtKey::State => Self::ConntrackState,
                _ => return None,
            },
            Expression::Payload { base, offset, .. } => {
                match (base, family, offset) {
                    (PayloadBase::Network, Family::V4, 12)
                    | (PayloadBase::Network, Family::V6, 8) => Self::Source,
                    (PayloadBase::Network, Family::V4, 16)
                    | (PayloadBase::Network, Family::V6, 24) => Self::Destination,
                    (PayloadBase::Transport, _, 0) => Self::SourcePort,
                    (PayloadBase::Transport, _, 2) => Self::DestinationPort,
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

pub(super) fn sense(comparison: Comparison) -> Option<Sense> {
    match comparison {
        Comparison::Equal => Some(Sense::Is),
        Comparison::NotEqual => Some(Sense::IsNot),
        Comparison::Other(_) => None,
    }
}

/// What a comparison of a field asks for.
pub(super) fn condition(
    field: Field,
    mask: Option<&[u8]>,
    sense: Sense,
    data: &[u8],
    family: Family,
) -> Option<Match> {
    Some(match (field, mask) {
        (Field::Mark, mask) => Match::Mark(sense, mark(data, mask)?),
        (Field::Connmark, mask) => Match::Connmark(sense, mark(data, mask)?),
        (Field::Source, mask) => Match::Source(sense, network(data, mask, family)?),
        (Field::Destination, mask) => Match::Destination(sense, network(data, mask, family)?),
        (Field::ConntrackState, Some(mask)) => states(mask, sense, data)?,
        (Field::InInterface, None) => Match::InInterface(sense, interface(data)?),
        (Field::OutInterface, None) => Match::OutInterface(sense, interface(data)?),
        (Field::Protocol, None) => Match::Protocol(sense, protocol(data)?),
        (Field::SourcePort, None) => Match::SourcePort(sense, port(data)?),
        (Field::DestinationPort, None) => Match::DestinationPort(sense, port(data)?),
        (Field::SocketUid, None) => Match::OwnerUid(sense, Uid(number(data)?)),
        (Field::SocketGid, None) => Match::OwnerGid(sense, Gid(number(data)?)),
        _ => return None,
    })
}

/// The bits of some states are, or are not, all clear: none of the states, or one of them.
fn states(mask: &[u8], sense: Sense, data: &[u8]) -> Option<Match> {
    let mask = number(mask)?;
    if number(data)? != 0 {
        return None;
    }
    let states = ConntrackState::ALL.into_iter();
    let states: Vec<_> = states
        .filter(|state| mask & native::state_bit(*state) != 0)
        .collect();
    let all: u32 = states.iter().map(|state| native::state_bit(*state)).sum();
    let sense = match sense {
        Sense::IsNot => Sense::Is,
        Sense::Is => Sense::IsNot,
    };
    (all == mask).then_some(Match::ConntrackState(sense, states))
}

/// A name with its NUL is whole; without one it is what names begin with.
fn interface(data: &[u8]) -> Option<InterfaceName> {
    let text = match data.iter().position(|byte| *byte == 0) {
        Some(end) => std::str::from_utf8(&data[..end]).ok()?.to_owned(),
        None => format!("{}+", std::str::from_utf8(data).ok()?),
    };
    InterfaceName::parse(&text)
}

fn protocol(data: &[u8]) -> Option<Protocol> {
    match data {
        [6] => Some(Protocol::Tcp),
        [17] => Some(Protocol::Udp),
        _ => None,
    }
}

/// A port in network order.
pub(super) fn port(data: &[u8]) -> Option<Port> {
    let number = <[u8; 2]>::try_from(data).ok()?;
    Port::new(u16::from_be_bytes(number))
}

fn mark(data: &[u8], mask: Option<&[u8]>) -> Option<Mark> {
    Some(Mark {
        value: number(data)?,
        mask: mask.map_or(Some(u32::MAX), number)?,
    })
}

fn number(data: &[u8]) -> Option<u32> {
    data.try_into().ok().map(u32::from_ne_bytes)
}

/// Without a mask as many bytes are compared as the prefix has.
pub(super) fn network(data: &[u8], mask: Option<&[u8]>, family: Family) -> Option<IpNetwork> {
    let prefix = match mask {
        Some(mask) => prefix(mask)?,
        None => u8::try_from(data.len() * 8).ok()?,
    };
    let address = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(filled::<4>(data)?)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(filled::<16>(data)?)),
    };
    IpNetwork::new(address, prefix).ok()
}

fn filled<const LENGTH: usize>(data: &[u8]) -> Option<[u8; LENGTH]> {
    let mut whole = [0; LENGTH];
    whole.get_mut(..data.len())?.copy_from_slice(data);
    Some(whole)
}

/// How many bits of a mask are set, if none is set behind one that is not.
fn prefix(mask: &[u8]) -> Option<u8> {
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let leading = mask.iter().enumerate().find(|(_, byte)| **byte != u8::MAX);
    let length = match leading {
        Some((at, byte)) => u32::try_from(at).ok()? * 8 + byte.leading_ones(),
        None => u32::try_from(mask.len()).ok()? * 8,
    };
    (ones == length)
        .then(|| u8::try_from(length).ok())
        .flatten()
}

pub(super) fn verdict_target(verdict: &Verdict) -> Option<Target> {
    Some(match verdict {
        Verdict::Return => Target::Return,
        Verdict::Accept => Target::Accept,
        Verdict::Drop => Target::Drop,
        Verdict::Jump(chain) => Target::Jump(ChainName::new(chain).ok()?),
        Verdict::Continue => Target::Opaque(String::new()),
        Verdict::Goto(_) | Verdict::Other(_) => return None,
    })
}
