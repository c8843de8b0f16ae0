//! Ownership — which of the rules that stand in a namespace are ours.
//!
//! A chain is ours by its name. In the kernel's own chains a rule is ours when it jumps to one of
//! our chains, and when it keeps the marks of TPROXY: those that our chains give to packets, or
//! 1337, which is sidecar interception's by convention. A rule that leaves an interface alone
//! (`-i IF -j RETURN`) names neither. It is ours where a rule set of ours put it: directly before
//! a rule that is ours by itself; in one chain where its twin stands so in another, or where
//! `-i IF` leads to a chain of ours; at the end of nat `PREROUTING` in a table that has chains of
//! ours, where it changes nothing for anyone (a rerouted interface of which nothing is captured);
//! and wherever it is one of the rules that are wanted.

use std::collections::BTreeSet;

use crate::chains;
use crate::ruleset::{
    BuiltinChain, Chain, Mark, Match, PolicyRouting, Rule, RuleSet, Sense, Table, TableName, Target,
};
use crate::value::InterfaceName;

/// Only what is ours: our chains whole, and our rules in the kernel's chains.
pub fn only_ours(found: &RuleSet) -> RuleSet {
    let mut only = RuleSet::new(found.family);
    only.routing = found.routing;
    for table in &found.tables {
        for chain in &table.chains {
            let rules = match chain.name.builtin() {
                Some(_) => ours(chain, table, &Table::new(table.name)),
                None if chains::is_ours(&chain.name) => chain.rules.iter().collect(),
                None => continue,
            };
            if !rules.is_empty() || chain.name.builtin().is_none() {
                let kept = only.table_mut(table.name).chain_mut(chain.name.clone());
                kept.rules = rules.into_iter().cloned().collect();
            }
        }
    }
    only
}

/// The mark of the policy routing that goes with rules that stand, as far as they show it.
pub fn routing_mark(found: &RuleSet) -> Option<u32> {
    found.tables.iter().flat_map(marks_of_ours).next()
}

/// The rules of a built-in chain that are ours, in their order.
pub(crate) fn ours<'found>(
    chain: &'found Chain,
    found: &'found Table,
    wanted: &Table,
) -> Vec<&'found Rule> {
    let numbered = ours_with_places(chain, found, wanted).into_iter();
    numbered.map(|(_, rule)| rule).collect()
}

/// The same, each with its place in the chain, from 0.
pub(crate) fn ours_with_places<'found>(
    chain: &'found Chain,
    found: &'found Table,
    wanted: &Table,
) -> Vec<(usize, &'found Rule)> {
    let marks = Marks::of(found);
    let interfaces = interfaces_of_ours(found, &marks);
    let wanted = wanted.chain(&chain.name);
    let is_ours = |(at, rule): &(usize, &Rule)| match interface_left_alone(rule) {
        Some(interface) => {
            let rest = &chain.rules[*at..];
            interfaces.contains(interface)
                || leads_to_ours(rest, &marks)
                || (reroutes(chain, found) && leads_nowhere(rest))
        }
        None => is_ours_by_itself(rule, &marks),
    };
    let is_wanted = |rule: &Rule| wanted.is_some_and(|wanted| holds(wanted, rule));
    let rules = chain.rules.iter().enumerate();
    rules
        .filter(|found| is_ours(found) || is_wanted(found.1))
        .collect()
}

/// The marks by which TPROXY recognises packets, as far as a table shows.
struct Marks(BTreeSet<u32>);

impl Marks {
    fn of(table: &Table) -> Self {
        let marks = marks_of_ours(table);
        Self(marks.chain([PolicyRouting::ISTIO.mark]).collect())
    }

    /// Whether a rule asks for such a mark, or gives the one that goes with it.
    fn are_kept_by(&self, rule: &Rule) -> bool {
        let asks = rule.matches.iter().any(|condition| match condition {
            Match::Mark(Sense::Is, mark) | Match::Connmark(Sense::Is, mark) => self.has(*mark),
            _ => false,
        });
        match &rule.target {
            Target::SaveMark | Target::RestoreMark | Target::Return => asks,
            Target::SetMark(mark) => self
                .0
                .iter()
                .any(|known| known.wrapping_add(1) == mark.value),
            _ => false,
        }
    }

    fn has(&self, mark: Mark) -> bool {
        self.0.contains(&mark.value)
    }
}

/// The marks that chains of ours give to packets for TPROXY, or know them by.
fn marks_of_ours(table: &Table) -> impl Iterator<Item = u32> {
    let chains = table.chains.iter();
    let ours = chains.filter(|chain| chains::is_ours(&chain.name));
    let rules = ours.flat_map(|chain| &chain.rules);
    rules.filter_map(|rule| match &rule.target {
        Target::Tproxy { mark, .. } => Some(mark.value),
        Target::Return => rule.matches.iter().find_map(|condition| match condition {
            Match::Mark(Sense::Is, mark) => Some(mark.value),
            _ => None,
        }),
        _ => None,
    })
}

/// Interfaces that a rule set of ours speaks of, as far as the table shows.
fn interfaces_of_ours<'found>(
    table: &'found Table,
    marks: &Marks,
) -> BTreeSet<&'found InterfaceName> {
    let mut interfaces = BTreeSet::new();
    let builtin = table
        .chains
        .iter()
        .filter(|chain| chain.name.builtin().is_some());
    for chain in builtin {
        for (at, rule) in chain.rules.iter().enumerate() {
            match interface_left_alone(rule) {
                Some(interface) if leads_to_ours(&chain.rules[at..], marks) => {
                    interfaces.insert(interface);
                }
                None if jumps_to_ours(rule) => interfaces.extend(interface_of(rule)),
                Some(_) | None => {}
            }
        }
    }
    interfaces
}

/// Whether only rules that leave interfaces alone stand before one that is ours by itself.
fn leads_to_ours(rules: &[Rule], marks: &Marks) -> bool {
    let mut rest = rules
        .iter()
        .skip_while(|rule| interface_left_alone(rule).is_some());
    rest.next()
        .is_some_and(|rule| is_ours_by_itself(rule, marks))
}

/// Whether only rules that leave interfaces alone stand there.
fn leads_nowhere(rules: &[Rule]) -> bool {
    let mut rules = rules.iter();
    rules.all(|rule| interface_left_alone(rule).is_some())
}

/// Whether rules of ours for rerouted interfaces stand in that chain, if there are any.
fn reroutes(chain: &Chain, found: &Table) -> bool {
    let mut chains = found.chains.iter();
    found.name == TableName::Nat
        && chain.name.builtin() == Some(BuiltinChain::Prerouting)
        && chains.any(|chain| chains::is_ours(&chain.name))
}

fn is_ours_by_itself(rule: &Rule, marks: &Marks) -> bool {
    jumps_to_ours(rule) || marks.are_kept_by(rule)
}

fn holds(chain: &Chain, rule: &Rule) -> bool {
    chain.rules.iter().any(|wanted| wanted.is_equivalent(rule))
}

fn jumps_to_ours(rule: &Rule) -> bool {
    matches!(&rule.target, Target::Jump(chain) if chains::is_ours(chain))
}

fn interface_left_alone(rule: &Rule) -> Option<&InterfaceName> {
    match rule.matches.as_slice() {
        [only] if rule.target == Target::Return => interface(only),
        _ => None,
    }
}

fn interface_of(rule: &Rule) -> Option<&InterfaceName> {
    rule.matches.iter().find_map(interface)
}

fn interface(condition: &Match) -> Option<&InterfaceName> {
    match condition {
        Match::InInterface(Sense::Is, name) | Match::OutInterface(Sense::Is, name) => Some(name),
        _ => None,
    }
}
