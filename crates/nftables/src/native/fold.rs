//! Folding: rules that do the same and differ in one value, as one rule with a set.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::interchange::stretches;
use mesh_cni_netfilter::ruleset::{Match, Rule, Sense};
use mesh_cni_netfilter::value::Port;

/// A rule, or what several rules were.
pub(super) enum Folded<'rules> {
    /// A rule as it is.
    Rule(&'rules Rule),
    /// Rules that differ in one value.
    Rules {
        /// One of them.
        like: &'rules Rule,
        /// In what they differ.
        values: Values,
    },
}

/// The values in which rules differ, each with the place of its rule in the stretch.
pub(super) enum Values {
    /// Destination ports.
    Ports(Vec<(u16, Port)>),
    /// Source or destination ranges, of which none overlaps another.
    Networks(Vec<(u16, IpNetwork)>),
}

/// What rules have in common that differ in one value alone.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Common<'rules> {
    kind: Kind,
    others: Vec<&'rules Match>,
}

/// The value in which rules may differ, in the order of preference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Port,
    Destination,
    Source,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Port, Self::Destination, Self::Source];

    pub(super) fn is_of(self, condition: &Match) -> bool {
        matches!(
            (self, condition),
            (Self::Port, Match::DestinationPort(Sense::Is, _))
                | (Self::Destination, Match::Destination(Sense::Is, _))
                | (Self::Source, Match::Source(Sense::Is, _))
        )
    }
}

/// The rules of a chain, folded as far as they go; each stretch in the order in which its rules
/// first came.
pub(super) fn fold(rules: &[Rule]) -> Vec<(Option<Kind>, Folded<'_>)> {
    stretches(rules).flat_map(fold_stretch).collect()
}

fn fold_stretch(rules: &[Rule]) -> Vec<(Option<Kind>, Folded<'_>)> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let sizes = sizes(rules);
    let mut places: BTreeMap<Common<'_>, usize> = BTreeMap::new();
    for (place, rule) in rules.iter().enumerate() {
        // Beyond that, places are told no more; the order says nothing anyway.
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        let best = Kind::ALL.into_iter().filter_map(|kind| common(rule, kind));
        let best = best
            .filter(|common| sizes.get(common).is_some_and(|size| *size > 1))
            .max_by_key(|common| (sizes.get(common), std::cmp::Reverse(common.kind)));
        let Some(common) = best else {
            groups.push(Group::new(None, place, rule));
            continue;
        };
        let kind = common.kind;
        match places.get(&common) {
            Some(at) if groups[*at].takes(rule) => groups[*at].push(place, rule),
            _ => {
                places.insert(common, groups.len());
                groups.push(Group::new(Some(kind), place, rule));
            }
        }
    }
    groups.into_iter().map(Group::finish).collect()
}

/// How many rules would fold into one, for each way to fold.
fn sizes(rules: &[Rule]) -> BTreeMap<Common<'_>, usize> {
    let mut sizes = BTreeMap::new();
    for rule in rules {
        for common in Kind::ALL.into_iter().filter_map(|kind| common(rule, kind)) {
            *sizes.entry(common).or_insert(0) += 1;
        }
    }
    sizes
}

fn common(rule: &Rule, kind: Kind) -> Option<Common<'_>> {
    let mut others = rule.sorted_matches();
    let at = others.iter().position(|condition| kind.is_of(condition))?;
    others.remove(at);
    // A second one of the kind would make the value ambiguous.
    let single = !others.iter().any(|condition| kind.is_of(condition));
    single.then_some(Common { kind, others })
}

/// Rules that fold into one, as they come.
struct Group<'rules> {
    kind: Option<Kind>,
    rules: Vec<(u16, &'rules Rule)>,
    /// A set holds each port once.
    ports: BTreeSet<Port>,
    /// Of each range where it begins and where it ends: none overlaps another.
    networks: BTreeMap<IpAddr, IpAddr>,
}

impl<'rules> Group<'rules> {
    fn new(kind: Option<Kind>, place: u16, rule: &'rules Rule) -> Self {
        let mut group = Self {
            kind,
            rules: Vec::new(),
            ports: BTreeSet::new(),
            networks: BTreeMap::new(),
        };
        group.push(place, rule);
        group
    }

    fn push(&mut self, place: u16, rule: &'rules Rule) {
        self.ports.extend(port(rule));
        let network = self.kind.and_then(|kind| network(rule, kind));
        self.networks.extend(network.map(ends));
        self.rules.push((place, rule));
    }

    /// A set holds no value twice, and no ranges that overlap.
    fn takes(&self, rule: &Rule) -> bool {
        match self.kind {
            Some(Kind::Port) => port(rule).is_some_and(|port| !self.ports.contains(&port)),
            Some(kind) => network(rule, kind).is_some_and(|network| self.is_free(network)),
            None => false,
        }
    }

    /// Whether no range of the group overlaps this one. Of those that begin before its end only the
    /// last can: the others end before that one begins.
    fn is_free(&self, network: IpNetwork) -> bool {
        let (first, last) = ends(network);
        let before = self.networks.range(..=last).next_back();
        before.is_none_or(|(_, end)| *end < first)
    }

    fn finish(self) -> (Option<Kind>, Folded<'rules>) {
        let like = self.rules[0].1;
        let (Some(kind), true) = (self.kind, self.rules.len() > 1) else {
            return (None, Folded::Rule(like));
        };
        let rules = self.rules.iter();
        let values = match kind {
            Kind::Port => {
                let ports = rules.filter_map(|(place, rule)| Some((*place, port(rule)?)));
                Values::Ports(ports.collect())
            }
            Kind::Destination | Kind::Source => {
                let networks =
                    rules.filter_map(|(place, rule)| Some((*place, network(rule, kind)?)));
                Values::Networks(networks.collect())
            }
        };
        (Some(kind), Folded::Rules { like, values })
    }
}

/// The first address of a range, and its last.
fn ends(network: IpNetwork) -> (IpAddr, IpAddr) {
    (network.network(), network.broadcast())
}

fn port(rule: &Rule) -> Option<Port> {
    rule.matches.iter().find_map(|condition| match condition {
        Match::DestinationPort(Sense::Is, port) => Some(*port),
        _ => None,
    })
}

fn network(rule: &Rule, kind: Kind) -> Option<IpNetwork> {
    rule.matches.iter().find_map(|condition| match condition {
        Match::Destination(Sense::Is, network) if kind == Kind::Destination => Some(*network),
        Match::Source(Sense::Is, network) if kind == Kind::Source => Some(*network),
        _ => None,
    })
}
