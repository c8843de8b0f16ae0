//! Reads the rules in our own tables.

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::interchange::runs;
use mesh_cni_netfilter::ruleset::{self, ChainName, Family, TableName, Target};

use super::names::table;
use crate::dump::Dump;
use crate::interpret::{self, PlacedRule};
use crate::object::{Chain, Rule, Set};

/// Reads our tables of a family from a dump. Folded rules are unfolded.
pub fn read(dump: &Dump, family: Family) -> RuleSet {
    let mut rules = RuleSet::new(family);
    for name in TableName::ALL {
        let table = table(family, name);
        let sets: Vec<_> = dump
            .sets
            .iter()
            .filter(|set| set.table == table)
            .cloned()
            .collect();
        for chain in dump.chains.iter().filter(|chain| chain.id.table == table) {
            // All of our chains have names that iptables accepts.
            if let Some(read) = read_chain(name, chain, &sets, dump) {
                rules.table_mut(name).chains.push(read);
            }
        }
    }
    rules
}

fn read_chain(
    table: TableName,
    chain: &Chain,
    sets: &[Set],
    dump: &Dump,
) -> Option<ruleset::Chain> {
    let mut read = ruleset::Chain::new(table, ChainName::new(&chain.id.name).ok()?);
    read.policy = read.policy.filter(|_| chain.is_builtin(table));
    let mut placed: Vec<PlacedRule> = Vec::new();
    for rule in dump.rules_of(&chain.id) {
        if !belongs_to_tproxy(placed.last(), rule) {
            placed.extend(interpret::rules(rule, sets));
        }
    }
    read.rules = in_place(placed);
    Some(read)
}

/// Sorts rules back into the positions that they had before they were folded.
///
/// Rules move only within a stretch of interchangeable rules, which does not change the path of
/// any packet.
fn in_place(found: Vec<PlacedRule>) -> Vec<ruleset::Rule> {
    let (all_places, rules): (Vec<_>, Vec<_>) =
        found.into_iter().map(|one| (one.place, one.rule)).unzip();
    let mut ordered = Vec::with_capacity(rules.len());
    let mut places = all_places.into_iter();
    for stretch in runs(&rules) {
        let mut slots: Vec<Option<&ruleset::Rule>> = vec![None; stretch.len()];
        let mut others = Vec::new();
        for (rule, place) in stretch.iter().zip(places.by_ref()) {
            let slot = place.and_then(|place| slots.get_mut(usize::from(place)));
            match slot {
                Some(free @ None) => *free = Some(rule),
                _ => others.push(rule),
            }
        }
        let mut unplaced = others.into_iter();
        ordered.extend(
            slots
                .into_iter()
                .filter_map(|slot| slot.or_else(|| unplaced.next())),
        );
    }
    ordered.into_iter().cloned().collect()
}

/// Whether a rule discards the packets that the TPROXY rule before it did not deliver.
fn belongs_to_tproxy(last: Option<&PlacedRule>, rule: &Rule) -> bool {
    last.is_some_and(|last| {
        matches!(last.rule.target, Target::Tproxy { .. })
            && interpret::is_uncounted_drop(rule)
            && interpret::rule(rule).matches == last.rule.matches
    })
}
