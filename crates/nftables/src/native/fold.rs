//! Folding: adjacent rules that differ in one value only become one rule with a set.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::interchange::runs;
use mesh_cni_netfilter::ruleset::{Match, Rule, Sense};
use mesh_cni_netfilter::value::PortRange;

use crate::field::Field;

/// The fields in which folded rules may differ, in the order of preference.
const FIELDS: [Field; 3] = [Field::DestinationPort, Field::Destination, Field::Source];

/// One rule, or several folded into one.
pub(super) struct Folded<'rules> {
    /// The rule, or the first of the folded ones.
    pub(super) rule: &'rules Rule,
    /// The values in which folded rules differ.
    pub(super) values: Option<Values>,
}

/// The values of a field, each with the position of its rule in the stretch. None overlaps another.
pub(super) struct Values {
    pub(super) field: Field,
    pub(super) values: Vec<(u16, Value)>,
}

/// A value of a field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Ports(PortRange),
    Network(IpNetwork),
}

impl Value {
    fn of(condition: &Match, field: Field) -> Option<Self> {
        Some(match (field, condition) {
            (Field::DestinationPort, Match::DestinationPort(Sense::Is, ports)) => {
                Self::Ports(*ports)
            }
            (Field::Destination, Match::Destination(Sense::Is, network))
            | (Field::Source, Match::Source(Sense::Is, network)) => Self::Network(*network),
            _ => return None,
        })
    }

    fn is_port_range(self) -> bool {
        matches!(self, Self::Ports(ports) if ports.first() != ports.last())
    }

    /// The first and the last port or address.
    fn bounds(self) -> (u128, u128) {
        let number = |address| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        match self {
            Self::Ports(ports) => (ports.first().into(), ports.last().into()),
            Self::Network(network) => (number(network.network()), number(network.broadcast())),
        }
    }
}

impl<'rules> Folded<'rules> {
    /// The conditions that all folded rules have.
    pub(super) fn common_matches(&self) -> impl Iterator<Item = &'rules Match> {
        let field = self.values.as_ref().map(|values| values.field);
        self.rule.matches.iter().filter(move |condition| {
            field.is_none_or(|field| Value::of(condition, field).is_none())
        })
    }
}

/// Folds the rules of a chain. The rules of a stretch keep the order of their first ones.
pub(super) fn fold(rules: &[Rule]) -> Vec<Folded<'_>> {
    runs(rules).flat_map(fold_stretch).collect()
}

fn fold_stretch(rules: &[Rule]) -> Vec<Folded<'_>> {
    let mut sizes: BTreeMap<Common<'_>, usize> = BTreeMap::new();
    for (common, _) in rules.iter().flat_map(candidates) {
        *sizes.entry(common).or_insert(0) += 1;
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut last_groups: BTreeMap<Common<'_>, usize> = BTreeMap::new();
    for (place, rule) in rules.iter().enumerate() {
        // Places do not affect the meaning of a stretch, so the largest one may repeat.
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        let best = candidates(rule)
            .filter(|(common, _)| sizes[common] > 1)
            .max_by_key(|(common, _)| (sizes[common], Reverse(common.preference)));
        let Some((common, value)) = best else {
            groups.push(Group::new(rule, None));
            continue;
        };
        let field = FIELDS[common.preference];
        let at = match last_groups.get(&common) {
            Some(at) if groups[*at].has_room_for(value) => *at,
            _ => {
                last_groups.insert(common, groups.len());
                groups.push(Group::new(rule, Some(field)));
                groups.len() - 1
            }
        };
        groups[at].push(place, value);
    }
    groups.into_iter().map(Group::finish).collect()
}

/// What rules have in common that differ in the value of one field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Common<'rules> {
    /// The index of the field in [`FIELDS`].
    preference: usize,
    /// Ranges of ports have a set of their own: the kernel finds single ports faster, and `nft`
    /// joins adjacent elements of a set with ranges.
    has_port_ranges: bool,
    others: Vec<&'rules Match>,
}

/// The ways to fold a rule with others, each with the rule's own value.
fn candidates(rule: &Rule) -> impl Iterator<Item = (Common<'_>, Value)> {
    FIELDS
        .into_iter()
        .enumerate()
        .filter_map(|(preference, field)| {
            let (of_field, others): (Vec<_>, Vec<_>) = rule
                .sorted_matches()
                .into_iter()
                .partition(|condition| Value::of(condition, field).is_some());
            // With several values of the field, none of them is the one that differs.
            let [only] = of_field.as_slice() else {
                return None;
            };
            let value = Value::of(only, field)?;
            let common = Common {
                preference,
                has_port_ranges: value.is_port_range(),
                others,
            };
            Some((common, value))
        })
}

/// Rules that fold into one.
struct Group<'rules> {
    rule: &'rules Rule,
    field: Option<Field>,
    values: Vec<(u16, Value)>,
    /// The last port or address of each value, by the first.
    bounds: BTreeMap<u128, u128>,
}

impl<'rules> Group<'rules> {
    fn new(rule: &'rules Rule, field: Option<Field>) -> Self {
        Self {
            rule,
            field,
            values: Vec::new(),
            bounds: BTreeMap::new(),
        }
    }

    fn push(&mut self, place: u16, value: Value) {
        self.values.push((place, value));
        self.bounds.extend([value.bounds()]);
    }

    /// The elements of a set must not overlap. Of the values that start before the end of this one,
    /// only the last can overlap it.
    fn has_room_for(&self, value: Value) -> bool {
        let (first, last) = value.bounds();
        let before = self.bounds.range(..=last).next_back();
        before.is_none_or(|(_, end)| *end < first)
    }

    fn finish(self) -> Folded<'rules> {
        let values = self.values;
        Folded {
            rule: self.rule,
            values: self
                .field
                .filter(|_| values.len() > 1)
                .map(|field| Values { field, values }),
        }
    }
}
