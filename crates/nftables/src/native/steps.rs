//! Making a rule set in tables of our own.

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::{self, Family, Match, Rule, Target};

use super::encode::{Sets, conditions, target, varying};
use super::fold::{Folded, Kind, fold};
use super::standing::table;
use crate::Unwritable;
use crate::change::Change;
use crate::compat::layout::hook;
use crate::expression::{Expression, Verdict};
use crate::object::{self, ChainId, Table};

/// The changes that make the tables of a rule set where none of them stands.
pub fn create(wanted: &RuleSet) -> Result<Vec<Change>, Unwritable> {
    let mut changes = Vec::new();
    let mut last_set = 0;
    for wanted_table in &wanted.tables {
        let table = table(wanted.family, wanted_table.name);
        changes.push(Change::AddTable(table.clone()));
        // Every chain stands before a rule jumps to one.
        for chain in &wanted_table.chains {
            let at = chain.name.builtin();
            let made = object::Chain {
                id: table.chain(chain.name.as_str()),
                hook: at.map(|at| hook(wanted_table.name, at)),
                policy: None,
            };
            changes.push(Change::AddChain {
                chain: made,
                exclusive: true,
            });
        }
        for chain in &wanted_table.chains {
            fill(chain, &table, &mut last_set, &mut changes)?;
        }
    }
    Ok(changes)
}

fn fill(
    chain: &ruleset::Chain,
    table: &Table,
    last_set: &mut u32,
    changes: &mut Vec<Change>,
) -> Result<(), Unwritable> {
    let id = table.chain(chain.name.as_str());
    for (kind, folded) in fold(&chain.rules) {
        let mut sets = Sets::new(table, *last_set);
        let like = match &folded {
            Folded::Rule(rule) => *rule,
            Folded::Rules { like, .. } => *like,
        };
        let before = before_target(kind, &folded, table.family, &mut sets)
            .ok_or_else(|| Unwritable::new(like))?;
        let made = finish(like, before, matches!(folded, Folded::Rules { .. }), &id)
            .ok_or_else(|| Unwritable::new(like))?;
        let sets = sets.finish();
        *last_set = sets.1;
        changes.extend(sets.0.into_iter().map(Change::AddSet));
        changes.extend(made.into_iter().map(Change::AppendRule));
    }
    Ok(())
}

/// The conditions of a rule, or of several.
fn before_target(
    kind: Option<Kind>,
    folded: &Folded<'_>,
    family: Family,
    sets: &mut Sets<'_>,
) -> Option<Vec<Expression>> {
    let mut to = Vec::new();
    match (folded, kind) {
        (Folded::Rules { like, values }, Some(kind)) => {
            let others: Vec<&Match> = like
                .matches
                .iter()
                .filter(|condition| !kind.is_of(condition))
                .collect();
            conditions(&others, sets, &mut to)?;
            varying(kind, values, family, sets, &mut to);
        }
        (Folded::Rule(like) | Folded::Rules { like, .. }, _) => {
            let all: Vec<_> = like.matches.iter().collect();
            conditions(&all, sets, &mut to)?;
        }
    }
    Some(to)
}

/// The rule with its counter and target; what TPROXY hands to nobody is discarded by a second one.
fn finish(
    like: &Rule,
    before: Vec<Expression>,
    counted_by_elements: bool,
    chain: &ChainId,
) -> Option<Vec<object::Rule>> {
    let rule = |expressions| object::Rule {
        chain: chain.clone(),
        handle: 0,
        expressions,
        userdata: Vec::new(),
    };
    let mut expressions = before.clone();
    if !counted_by_elements {
        expressions.push(Expression::Counter {
            packets: 0,
            bytes: 0,
        });
    }
    target(&like.target, chain.table.family, &mut expressions)?;
    let mut rules = vec![rule(expressions)];
    if matches!(like.target, Target::Tproxy { .. }) {
        let mut discard = before;
        discard.push(Expression::Verdict(Verdict::Drop));
        rules.push(rule(discard));
    }
    Some(rules)
}
