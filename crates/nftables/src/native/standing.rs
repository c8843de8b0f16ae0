//! What of our own tables stands, and how to replace or remove it.

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::interchange::stretches;
use mesh_cni_netfilter::ruleset::{self, ChainName, Family, TableName, Target};

use super::steps::create;
use crate::Unwritable;
use crate::change::Change;
use crate::dump::Dump;
use crate::interpret::{self, Placed};
use crate::object::{Chain, Rule, Set, Table};

/// What the names of our tables begin with.
const PREFIX: &str = "mesh-cni-";

/// The table that stands for one of iptables'.
pub(super) fn table(family: Family, name: TableName) -> Table {
    Table::new(family, format!("{PREFIX}{name}"))
}

/// Whether a table is one of our own.
pub fn is_ours(table: &Table) -> bool {
    let name = table.name.strip_prefix(PREFIX);
    name.and_then(TableName::from_name).is_some()
}

/// Reads our own tables out of a dump.
///
/// Rules that were folded come back one by one.
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
            // A name that iptables could not have given is not one of ours.
            if let Some(read) = read_chain(chain, &sets, dump) {
                rules.table_mut(name).chains.push(read);
            }
        }
    }
    rules
}

/// Deletes our own tables of a family; nothing where none stands.
pub fn remove(dump: &Dump, family: Family) -> Vec<Change> {
    let tables = dump.tables.iter();
    let ours = tables.filter(|table| table.family == family && is_ours(table));
    ours.map(|table| Change::DeleteTable(table.clone()))
        .collect()
}

/// Deletes our own tables of a family and makes the wanted ones, in one batch.
pub fn replace(wanted: &RuleSet, dump: &Dump) -> Result<Vec<Change>, Unwritable> {
    let mut changes = remove(dump, wanted.family);
    changes.extend(create(wanted)?);
    Ok(changes)
}

fn read_chain(chain: &Chain, sets: &[Set], dump: &Dump) -> Option<ruleset::Chain> {
    let mut read = ruleset::Chain::new(ChainName::new(&chain.id.name).ok()?);
    let family = chain.id.table.family;
    let mut placed: Vec<Placed> = Vec::new();
    for rule in dump.rules_of(&chain.id) {
        if !goes_with(placed.last(), rule) {
            placed.extend(interpret::rules(&rule.expressions, family, sets));
        }
    }
    read.rules = in_place(placed);
    Some(read)
}

/// Neighbours that do the same, each in the place that it had before it was folded.
///
/// Whatever a place says, it moves a rule among those with which it may change places: that changes
/// no packet's way.
fn in_place(found: Vec<Placed>) -> Vec<ruleset::Rule> {
    let (places, rules): (Vec<_>, Vec<_>) =
        found.into_iter().map(|one| (one.place, one.rule)).unzip();
    let mut ordered = Vec::with_capacity(rules.len());
    let mut places = places.into_iter();
    for stretch in stretches(&rules) {
        let mut slots: Vec<Option<&ruleset::Rule>> = vec![None; stretch.len()];
        let mut others = Vec::new();
        for (rule, place) in stretch.iter().zip(places.by_ref()) {
            let slot = place.and_then(|place| slots.get_mut(usize::from(place)));
            match slot {
                Some(free @ None) => *free = Some(rule),
                _ => others.push(rule),
            }
        }
        let mut others = others.into_iter();
        let filled = slots
            .into_iter()
            .filter_map(|slot| slot.or_else(|| others.next()));
        ordered.extend(filled.cloned());
    }
    ordered
}

/// Whether a rule discards what TPROXY, in the rule before it, handed to nobody.
fn goes_with(last: Option<&Placed>, rule: &Rule) -> bool {
    let family = rule.chain.table.family;
    last.is_some_and(|last| {
        matches!(last.rule.target, Target::Tproxy { .. })
            && interpret::is_plain_drop(&rule.expressions)
            && interpret::rule(&rule.expressions, family).matches == last.rule.matches
    })
}
