//! Conditions and targets as native expressions.

use mesh_cni_netfilter::ruleset::{Family, Mark, Match, RejectWith, Sense, Target};
use mesh_cni_netfilter::value::PortRange;

use super::fold::{Value, Values};
use crate::change::Change;
use crate::condition::{self, bitwise, host_order, in_order, octets, port_key};
use crate::expression::{CtKey, Expression, MetaKey, Register, Verdict};
use crate::field::Field;
use crate::message::protocol_family;
use crate::object::{Element, Set, SetKind, Table};
use crate::uapi::netfilter::icmpv6::ICMPV6_ADM_PROHIBITED;
use crate::uapi::netfilter::nf_nat::NF_NAT_RANGE_PROTO_SPECIFIED;
use crate::uapi::nf_tables::{NFT_REJECT_ICMP_UNREACH, NFT_REJECT_TCP_RST};

/// Adds the sets of a table to the changes of a batch.
pub(super) struct SetBuilder<'batch> {
    pub(super) table: &'batch Table,
    /// The id of the last set of the batch.
    pub(super) last: &'batch mut u32,
    pub(super) changes: &'batch mut Vec<Change>,
}

impl SetBuilder<'_> {
    /// Adds a set, and returns the expression that looks the first register up in it.
    fn add(
        &mut self,
        kind: SetKind,
        counting: bool,
        (interval, elements): (bool, Vec<Element>),
        inverted: bool,
    ) -> Expression {
        /// The kernel replaces `%d` by a number.
        const NAME: &str = "__set%d";
        *self.last += 1;
        self.changes.push(Change::AddSet(Set {
            table: self.table.clone(),
            name: NAME.to_owned(),
            anonymous: true,
            id: *self.last,
            kind,
            interval,
            counting,
            elements,
        }));
        Expression::Lookup {
            key: Register::ONE,
            set: NAME.to_owned(),
            set_id: *self.last,
            value: None,
            inverted,
        }
    }
}

/// Appends the conditions of a rule; `None` if one has no native expressions.
pub(super) fn conditions<'rule>(
    matches: impl IntoIterator<Item = &'rule Match>,
    family: Family,
    sets: &mut SetBuilder<'_>,
    to: &mut Vec<Expression>,
) -> Option<()> {
    for condition in in_order(matches) {
        if condition.as_comment().is_some() {
            continue;
        }
        if let Match::DestinationPorts(sense, ports) = condition {
            let ports = ports_of_list(ports);
            if let [(_, Value::Ports(only))] = ports[..] {
                condition::write(&Match::DestinationPort(*sense, only), family, to)?;
                continue;
            }
            let elements = elements(&ports);
            to.push(Field::DestinationPort.load(family));
            to.push(sets.add(SetKind::PORT, false, elements, *sense == Sense::IsNot));
        } else {
            condition::write(condition, family, to)?;
        }
    }
    Some(())
}

/// Appends the lookup of the values in which folded rules differ, in a set whose elements count.
pub(super) fn lookup_values(
    values: &Values,
    family: Family,
    sets: &mut SetBuilder<'_>,
    to: &mut Vec<Expression>,
) {
    let kind = match (values.field, family) {
        (Field::DestinationPort, _) => SetKind::PORT,
        (_, Family::V4) => SetKind::IPV4_ADDRESS,
        (_, Family::V6) => SetKind::IPV6_ADDRESS,
    };
    let elements = elements(&values.values);
    to.push(values.field.load(family));
    to.push(sets.add(kind, true, elements, false));
}

/// Appends the target of a rule; `None` if it has no native expressions.
pub(super) fn target(target: &Target, family: Family, to: &mut Vec<Expression>) -> Option<()> {
    if let Some(verdict) = Verdict::of_target(target) {
        to.push(Expression::Verdict(verdict));
        return Some(());
    }
    let from = Register::ONE;
    match target {
        Target::Redirect(port) => {
            to.push(constant(port_key(*port)));
            to.push(Expression::Redirect {
                port: Some(from),
                flags: NF_NAT_RANGE_PROTO_SPECIFIED,
            });
        }
        Target::Reject(with) => to.push(match (with, family) {
            (RejectWith::TcpReset, _) => Expression::Reject {
                kind: NFT_REJECT_TCP_RST,
                code: 0,
            },
            (RejectWith::Icmpv6AdminProhibited, Family::V6) => Expression::Reject {
                kind: NFT_REJECT_ICMP_UNREACH,
                code: ICMPV6_ADM_PROHIBITED,
            },
            (RejectWith::Icmpv6AdminProhibited, Family::V4) => return None,
        }),
        Target::Tproxy { port, mark } => {
            to.push(constant(port_key(*port)));
            to.push(Expression::Tproxy {
                family: protocol_family(family).into(),
                port: from,
            });
            set_mark(*mark, family, to);
            to.push(Expression::Verdict(Verdict::Accept));
        }
        Target::SetMark(mark) => set_mark(*mark, family, to),
        Target::SetConnmark(mark) => {
            load_written(*mark, Field::Connmark, family, to);
            let key = CtKey::Mark;
            to.push(Expression::SetCt { key, from });
        }
        Target::SaveMark => {
            to.push(Field::Mark.load(family));
            let key = CtKey::Mark;
            to.push(Expression::SetCt { key, from });
        }
        Target::RestoreMark => {
            to.push(Field::Connmark.load(family));
            let key = MetaKey::Mark;
            to.push(Expression::SetMeta { key, from });
        }
        Target::ConntrackZone(zone) => {
            to.push(constant(zone.to_ne_bytes().to_vec()));
            let key = CtKey::Zone;
            to.push(Expression::SetCt { key, from });
        }
        Target::Log { prefix, level } => to.push(Expression::Log {
            prefix: Some(prefix.clone()).filter(|prefix| !prefix.is_empty()),
            level: (*level).into(),
        }),
        Target::Opaque(text) if text.is_empty() => {}
        _ => return None,
    }
    Some(())
}

/// What a mark becomes: the bits of the mask change and the others stay, like `--set-xmark`.
fn load_written(mark: Mark, field: Field, family: Family, to: &mut Vec<Expression>) {
    if mark.mask == u32::MAX {
        to.push(constant(host_order(mark.value)));
    } else {
        to.push(field.load(family));
        to.push(bitwise(host_order(!mark.mask), host_order(mark.value)));
    }
}

fn set_mark(mark: Mark, family: Family, to: &mut Vec<Expression>) {
    load_written(mark, Field::Mark, family, to);
    let (key, from) = (MetaKey::Mark, Register::ONE);
    to.push(Expression::SetMeta { key, from });
}

fn constant(data: Vec<u8>) -> Expression {
    let to = Register::ONE;
    Expression::Immediate { to, data }
}

/// The ports of a list; those that overlap are merged, because elements of a set must not overlap.
fn ports_of_list(ports: &[PortRange]) -> Vec<(u16, Value)> {
    let count = |ports: &[PortRange]| {
        let sizes = ports.iter().map(|range| range.last() - range.first());
        sizes.map(|size| u32::from(size) + 1).sum::<u32>()
    };
    let merged = PortRange::merged(ports);
    let ports = if count(&merged) == count(ports) {
        ports
    } else {
        &merged
    };
    (0..)
        .zip(ports)
        .map(|(place, ports)| (place, Value::Ports(*ports)))
        .collect()
}

/// The elements of a set, and whether they are the bounds of ranges: single ports are not.
fn elements(values: &[(u16, Value)]) -> (bool, Vec<Element>) {
    let single = |(place, value): &(u16, Value)| match value {
        Value::Ports(ports) => Some(element(port_key(ports.single()?), Some(*place))),
        Value::Network(_) => None,
    };
    if let Some(elements) = values.iter().map(single).collect() {
        return (false, elements);
    }
    let bounds = |(place, value): &(u16, Value)| match value {
        Value::Ports(ports) => {
            let [first, last] = [ports.first(), ports.last()].map(u16::to_be_bytes);
            interval(first.to_vec(), last.to_vec(), *place)
        }
        Value::Network(network) => {
            let first = octets(network.network());
            interval(first, octets(network.broadcast()), *place)
        }
    };
    (true, values.iter().flat_map(bounds).collect())
}

/// The first key of a range and, unless the last one is the largest of all, the one after that.
fn interval(first: Vec<u8>, last: Vec<u8>, place: u16) -> impl Iterator<Item = Element> {
    let end = successor(last).map(|key| Element {
        interval_end: true,
        ..element(key, None)
    });
    std::iter::once(element(first, Some(place))).chain(end)
}

/// The next key; `None` after the largest one.
fn successor(mut key: Vec<u8>) -> Option<Vec<u8>> {
    for byte in key.iter_mut().rev() {
        let (sum, carry) = byte.overflowing_add(1);
        *byte = sum;
        if !carry {
            return Some(key);
        }
    }
    None
}

fn element(key: Vec<u8>, place: Option<u16>) -> Element {
    Element {
        key,
        interval_end: false,
        counter: None,
        place,
        comment: None,
    }
}
