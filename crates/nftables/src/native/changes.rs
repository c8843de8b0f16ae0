//! The changes that create, replace and remove our own tables.

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::{Family, Target};

use super::encode::{SetBuilder, conditions, lookup_values, target};
use super::fold::{Folded, fold};
use super::names::{is_ours, table};
use crate::Unwritable;
use crate::change::Change;
use crate::dump::Dump;
use crate::expression::{Expression, Verdict};
use crate::object::{self, ChainId};

/// The changes that create the tables of a rule set where none of them exist.
pub fn create(wanted: &RuleSet) -> Result<Vec<Change>, Unwritable> {
    let mut changes = Vec::new();
    let mut last_set = 0;
    for iptables in &wanted.tables {
        let table = table(wanted.family, iptables.name);
        changes.push(Change::AddTable(table.clone()));
        // Chains come before the rules that jump to them.
        changes.extend(iptables.chains.iter().map(|chain| Change::AddChain {
            chain: table.new_chain(iptables.name, &chain.name),
            exclusive: true,
        }));
        for chain in &iptables.chains {
            let id = table.chain(chain.name.as_str());
            for folded in fold(&chain.rules) {
                append(&folded, &id, &mut last_set, &mut changes)
                    .ok_or_else(|| Unwritable::new(folded.rule))?;
            }
        }
    }
    Ok(changes)
}

/// The changes that delete our tables of a family; empty if there are none.
pub fn remove(dump: &Dump, family: Family) -> Vec<Change> {
    dump.tables
        .iter()
        .filter(|table| table.family == family && is_ours(table))
        .map(|table| Change::DeleteTable(table.clone()))
        .collect()
}

/// The changes that delete our tables of a family and create the wanted ones.
pub fn replace(wanted: &RuleSet, dump: &Dump) -> Result<Vec<Change>, Unwritable> {
    let mut changes = remove(dump, wanted.family);
    changes.extend(create(wanted)?);
    Ok(changes)
}

/// Appends the sets of a rule and the rule; a second rule discards what TPROXY does not deliver.
fn append(
    folded: &Folded<'_>,
    chain: &ChainId,
    last_set: &mut u32,
    changes: &mut Vec<Change>,
) -> Option<()> {
    let family = chain.table.family;
    let mut sets = SetBuilder {
        table: &chain.table,
        last: last_set,
        changes,
    };
    let mut matches = Vec::new();
    conditions(folded.common_matches(), family, &mut sets, &mut matches)?;
    if let Some(values) = &folded.values {
        lookup_values(values, family, &mut sets, &mut matches);
    }
    let mut expressions = matches.clone();
    // The elements of a set have counters of their own.
    if folded.values.is_none() {
        expressions.push(Expression::Counter {
            packets: 0,
            bytes: 0,
        });
    }
    target(&folded.rule.target, family, &mut expressions)?;
    let comment = match folded.rule.comments().as_slice() {
        [] => None,
        [only] if object::Rule::holds_comment(only) => Some((*only).to_owned()),
        _ => return None,
    };
    let rule = |expressions| {
        Change::AppendRule(object::Rule {
            chain: chain.clone(),
            handle: 0,
            expressions,
            comment: comment.clone(),
        })
    };
    changes.push(rule(expressions));
    if matches!(folded.rule.target, Target::Tproxy { .. }) {
        matches.push(Expression::Verdict(Verdict::Drop));
        changes.push(rule(matches));
    }
    Some(())
}
