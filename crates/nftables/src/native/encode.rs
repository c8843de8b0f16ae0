//! Conditions and targets in `nf_tables`' own words.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{ConntrackState, Family, Mark, Match, Sense, Target};
use mesh_cni_netfilter::value::Port;

use super::fold::{Kind, Values};
use crate::condition::{compare, comparison, in_order, masked, write};
use crate::expression::{Comparison, CtKey, Expression, MetaKey, PayloadBase, Register, Verdict};
use crate::object::{Element, Set, SetFlags, SetKind, Table};

/// The sets that a rule brings with it.
pub(super) struct Sets<'table> {
    table: &'table Table,
    /// The number of the last set of this batch.
    last: u32,
    made: Vec<Set>,
}

impl<'table> Sets<'table> {
    pub(super) fn new(table: &'table Table, last: u32) -> Self {
        let made = Vec::new();
        Self { table, last, made }
    }

    /// The sets, and the number of the last one.
    pub(super) fn finish(self) -> (Vec<Set>, u32) {
        (self.made, self.last)
    }

    /// Makes a set for one rule, and looks into it.
    fn look_up(
        &mut self,
        kind: SetKind,
        flags: SetFlags,
        elements: Vec<Element>,
        inverted: bool,
    ) -> Expression {
        /// The kernel puts a number in the place of `%d`.
        const ANONYMOUS: &str = "__set%d";
        self.last += 1;
        self.made.push(Set {
            table: self.table.clone(),
            name: ANONYMOUS.to_owned(),
            id: self.last,
            kind,
            flags,
            elements,
        });
        Expression::Lookup {
            key: Register::ONE,
            set: ANONYMOUS.to_owned(),
            set_id: self.last,
            value: None,
            inverted,
        }
    }
}

/// The conditions of a rule; `None` where one has no words.
pub(super) fn conditions(
    matches: &[&Match],
    sets: &mut Sets<'_>,
    to: &mut Vec<Expression>,
) -> Option<()> {
    for condition in in_order(matches) {
        if write(condition, to).is_some() {
            continue;
        }
        match condition {
            Match::OwnerUid(sense, uid) => socket(MetaKey::SocketUid, *sense, uid.0, to),
            Match::OwnerGid(sense, gid) => socket(MetaKey::SocketGid, *sense, gid.0, to),
            Match::DestinationPorts(sense, ports) => {
                load_port(to);
                let flags = SetFlags {
                    anonymous: true,
                    constant: true,
                    ..SetFlags::default()
                };
                let places = (0..).zip(ports.iter().copied());
                let (inverted, elements) = (*sense == Sense::IsNot, elements_of(places));
                to.push(sets.look_up(SetKind::PORT, flags, elements, inverted));
            }
            Match::Connmark(sense, mark) => {
                to.push(load_ct(CtKey::Mark));
                masked(*sense, *mark, to);
            }
            Match::ConntrackState(sense, states) => states_of(*sense, states, to),
            _ => return None,
        }
    }
    Some(())
}

/// The value in which folded rules differ: a set whose elements count.
pub(super) fn varying(
    kind: Kind,
    values: &Values,
    family: Family,
    sets: &mut Sets<'_>,
    to: &mut Vec<Expression>,
) {
    let flags = SetFlags {
        anonymous: true,
        constant: true,
        counting: true,
        interval: matches!(values, Values::Networks(_)),
        ..SetFlags::default()
    };
    let (key, elements) = match values {
        Values::Ports(ports) => {
            load_port(to);
            (SetKind::PORT, elements_of(ports.iter().copied()))
        }
        Values::Networks(networks) => {
            to.push(load_address(kind, family));
            let key = match family {
                Family::V4 => SetKind::IPV4_ADDRESS,
                Family::V6 => SetKind::IPV6_ADDRESS,
            };
            (key, intervals(networks))
        }
    };
    to.push(sets.look_up(key, flags, elements, false));
}

/// What a rule does; `None` where there are no words for it.
pub(super) fn target(target: &Target, family: Family, to: &mut Vec<Expression>) -> Option<()> {
    match target {
        Target::Return => to.push(Expression::Verdict(Verdict::Return)),
        Target::Accept => to.push(Expression::Verdict(Verdict::Accept)),
        Target::Drop => to.push(Expression::Verdict(Verdict::Drop)),
        Target::Jump(chain) => {
            to.push(Expression::Verdict(Verdict::Jump(
                chain.as_str().to_owned(),
            )));
        }
        Target::Redirect(port) => {
            /// `NF_NAT_RANGE_PROTO_SPECIFIED`
            const PORT: u32 = 2;
            to.push(value(&port.get().to_be_bytes()));
            let port = Some(Register::ONE);
            to.push(Expression::Redirect { port, flags: PORT });
        }
        Target::Tproxy { port, mark } => {
            to.push(value(&port.get().to_be_bytes()));
            to.push(Expression::Tproxy {
                family: u32::from(crate::message::protocol_family(family)),
                port: Register::ONE,
            });
            set_mark(*mark, to);
            to.push(Expression::Verdict(Verdict::Accept));
        }
        Target::SetMark(mark) => set_mark(*mark, to),
        Target::SaveMark => {
            to.push(load_meta(MetaKey::Mark));
            let (key, from) = (CtKey::Mark, Register::ONE);
            to.push(Expression::SetCt { key, from });
        }
        Target::RestoreMark => {
            to.push(load_ct(CtKey::Mark));
            let (key, from) = (MetaKey::Mark, Register::ONE);
            to.push(Expression::SetMeta { key, from });
        }
        Target::ConntrackZone(zone) => {
            to.push(value(&zone.to_ne_bytes()));
            let (key, from) = (CtKey::Zone, Register::ONE);
            to.push(Expression::SetCt { key, from });
        }
        Target::Opaque(words) if words.is_empty() => {}
        Target::Opaque(_) => return None,
    }
    Some(())
}

/// The bit of a state in `ct state` (`NF_CT_STATE_BIT`).
pub(crate) fn state_bit(state: ConntrackState) -> u32 {
    match state {
        ConntrackState::Invalid => 1,
        ConntrackState::Established => 1 << 1,
        ConntrackState::Related => 1 << 2,
        ConntrackState::New => 1 << 3,
    }
}

/// One of the states: their bits are not all clear.
fn states_of(sense: Sense, states: &[ConntrackState], to: &mut Vec<Expression>) {
    let mask = states
        .iter()
        .fold(0, |mask, state| mask | state_bit(*state));
    to.push(load_ct(CtKey::State));
    to.push(Expression::Bitwise {
        from: Register::ONE,
        to: Register::ONE,
        mask: mask.to_ne_bytes().to_vec(),
        xor: vec![0; 4],
    });
    let comparison = match sense {
        Sense::Is => Comparison::NotEqual,
        Sense::IsNot => Comparison::Equal,
    };
    to.push(compare(comparison, vec![0; 4]));
}

fn socket(key: MetaKey, sense: Sense, id: u32, to: &mut Vec<Expression>) {
    to.push(load_meta(key));
    to.push(compare(comparison(sense), id.to_ne_bytes().to_vec()));
}

/// Bits outside the mask stay, as `MARK --set-xmark` has it.
fn set_mark(mark: Mark, to: &mut Vec<Expression>) {
    if mark.mask == u32::MAX {
        to.push(value(&mark.value.to_ne_bytes()));
    } else {
        to.push(load_meta(MetaKey::Mark));
        to.push(Expression::Bitwise {
            from: Register::ONE,
            to: Register::ONE,
            mask: (!mark.mask).to_ne_bytes().to_vec(),
            xor: mark.value.to_ne_bytes().to_vec(),
        });
    }
    let (key, from) = (MetaKey::Mark, Register::ONE);
    to.push(Expression::SetMeta { key, from });
}

fn load_meta(key: MetaKey) -> Expression {
    let to = Register::ONE;
    Expression::Meta { key, to }
}

fn load_ct(key: CtKey) -> Expression {
    let to = Register::ONE;
    Expression::Ct { key, to }
}

fn load_port(to: &mut Vec<Expression>) {
    to.push(Expression::Payload {
        base: PayloadBase::Transport,
        offset: 2,
        length: 2,
        to: Register::ONE,
    });
}

fn load_address(kind: Kind, family: Family) -> Expression {
    let (source, destination, length) = match family {
        Family::V4 => (12, 16, 4),
        Family::V6 => (8, 24, 16),
    };
    Expression::Payload {
        base: PayloadBase::Network,
        offset: if kind == Kind::Source {
            source
        } else {
            destination
        },
        length,
        to: Register::ONE,
    }
}

fn value(data: &[u8]) -> Expression {
    Expression::Immediate {
        to: Register::ONE,
        data: data.to_vec(),
    }
}

fn elements_of(ports: impl IntoIterator<Item = (u16, Port)>) -> Vec<Element> {
    let elements = ports.into_iter().map(|(place, port)| Element {
        place: Some(place),
        ..element(port.get().to_be_bytes().to_vec(), false)
    });
    elements.collect()
}

/// Each range as where it begins and, unless that is the end of all addresses, what comes after it.
fn intervals(networks: &[(u16, IpNetwork)]) -> Vec<Element> {
    let ends = networks.iter().flat_map(|(place, network)| {
        let first = Element {
            place: Some(*place),
            ..element(octets(network.network()), false)
        };
        let last = octets(network.broadcast());
        let after = successor(&last).map(|key| element(key, true));
        std::iter::once(first).chain(after)
    });
    ends.collect()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The next address, if there is one.
fn successor(address: &[u8]) -> Option<Vec<u8>> {
    let mut next = address.to_vec();
    for byte in next.iter_mut().rev() {
        let (sum, carry) = byte.overflowing_add(1);
        *byte = sum;
        if !carry {
            return Some(next);
        }
    }
    None
}

fn element(key: Vec<u8>, interval_end: bool) -> Element {
    Element {
        key,
        interval_end,
        value: None,
        counter: None,
        place: None,
    }
}
