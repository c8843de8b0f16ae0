//! Ownership — which of the rules that stand in a namespace are ours.
//!
//! A chain is ours by its name. In the kernel's own chains a rule is ours when it jumps to one of
//! our chains. A rule that leaves an interface alone (`-i IF -j RETURN`) names no chain. It is
//! ours where a rule set of ours put it: directly before such a jump; in `PREROUTING` also where
//! its twin `-o IF -j RETURN` stands so in `OUTPUT`, or where `-i IF` leads to a chain of ours;
//! and wherever it is one of the rules that are wanted.

use std::collections::BTreeSet;

use crate::chains;
use crate::ruleset::{Chain, Match, Rule, RuleSet, Sense, Table, Target};
use crate::value::InterfaceName;

/// Only what is ours: our chains whole, and our rules in the kernel's chains.
pub fn only_ours(found: &RuleSet) -> RuleSet {
    let mut only = RuleSet::new(found.family);
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

/// The rules of a built-in chain that are ours, in their order.
pub(crate) fn ours<'found>(
    chain: &'found Chain,
    found: &'found Table,
    wanted: &Table,
) -> Vec<&'found Rule> {
    let interfaces = interfaces_of_ours(found);
    let wanted = wanted.chain(&chain.name);
    let is_ours = |(at, rule): &(usize, &Rule)| match interface_left_alone(rule) {
        Some(interface) => {
            interfaces.contains(interface)
                || leads_to_jump(&chain.rules[*at..])
                || wanted.is_some_and(|wanted| holds(wanted, rule))
        }
        None => jumps_to_ours(rule),
    };
    let rules = chain.rules.iter().enumerate().filter(is_ours);
    rules.map(|(_, rule)| rule).collect()
}

/// Interfaces that a rule set of ours speaks of, as far as the table shows.
fn interfaces_of_ours(table: &Table) -> BTreeSet<&InterfaceName> {
    let mut interfaces = BTreeSet::new();
    for chain in table
        .chains
        .iter()
        .filter(|chain| chain.name.builtin().is_some())
    {
        for (at, rule) in chain.rules.iter().enumerate() {
            match interface_left_alone(rule) {
                Some(interface) if leads_to_jump(&chain.rules[at..]) => {
                    interfaces.insert(interface);
                }
                None if jumps_to_ours(rule) => interfaces.extend(interface_of(rule)),
                Some(_) | None => {}
            }
        }
    }
    interfaces
}

/// Whether only rules that leave interfaces alone stand before a jump to a chain of ours.
fn leads_to_jump(rules: &[Rule]) -> bool {
    let mut rest = rules
        .iter()
        .skip_while(|rule| interface_left_alone(rule).is_some());
    rest.next().is_some_and(jumps_to_ours)
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
