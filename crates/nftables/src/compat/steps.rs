//! From what stands to what is wanted, as changes of a batch.

use mesh_cni_netfilter::ruleset::{ChainName, Family, Rule, TableName};
use mesh_cni_netfilter::transaction::{self, Step, TableSteps};
use mesh_cni_netfilter::{Ownership, RuleSet};

use super::encode::expressions;
use super::layout;
use super::standing::Standing;
use crate::Unwritable;
use crate::change::Change;
use crate::object;

/// The changes that make rules stand where none of ours do.
///
/// Each of our chains is made so that the batch is refused where it stands already: nothing is
/// programmed twice.
pub fn create(wanted: &RuleSet) -> Result<Vec<Change>, Unwritable> {
    let family = wanted.family;
    let mut changes = Vec::new();
    for table in &wanted.tables {
        changes.push(Change::AddTable(layout::table(family, table.name)));
        let own = |chain: &&mesh_cni_netfilter::ruleset::Chain| chain.name.builtin().is_none();
        let own = table.chains.iter().filter(own);
        changes.extend(own.map(|chain| Change::AddChain {
            chain: layout::chain(family, table.name, &chain.name),
            exclusive: true,
        }));
        for chain in &table.chains {
            if chain.name.builtin().is_some() {
                changes.push(hooked(family, table.name, &chain.name));
            }
            for rule in &chain.rules {
                changes.push(append(family, table.name, &chain.name, rule)?);
            }
        }
    }
    Ok(changes)
}

/// The changes that replace whatever of ours was found by what is wanted; none where nothing has to
/// change.
pub fn replace(
    wanted: &RuleSet,
    found: &Standing,
    ownership: &Ownership,
) -> Result<Vec<Change>, Unwritable> {
    let mut changes = Vec::new();
    for TableSteps { table, steps, .. } in transaction::steps(wanted, &found.rules, ownership) {
        changes.push(Change::AddTable(layout::table(wanted.family, table)));
        let mut hooks = Vec::new();
        for step in steps {
            if let Step::AppendRule { chain, .. } = &step
                && chain.builtin().is_some()
                && !hooks.contains(chain)
            {
                hooks.push(*chain);
                changes.push(hooked(wanted.family, table, chain));
            }
            changes.extend(change(wanted.family, table, &step, found)?);
        }
    }
    Ok(changes)
}

/// The changes that remove whatever of ours was found; none where nothing is.
pub fn remove(found: &Standing, ownership: &Ownership) -> Vec<Change> {
    let nothing = RuleSet::new(found.rules.family);
    // Without a rule to write, nothing can be unwritable.
    replace(&nothing, found, ownership).unwrap_or_default()
}

fn change(
    family: Family,
    table: TableName,
    step: &Step<'_>,
    found: &Standing,
) -> Result<Vec<Change>, Unwritable> {
    let id = |chain: &ChainName| layout::table(family, table).chain(chain.as_str());
    Ok(match step {
        Step::EmptyChain(chain) => {
            let made = Change::AddChain {
                chain: layout::chain(family, table, chain),
                exclusive: false,
            };
            vec![made, Change::FlushChain(id(chain))]
        }
        Step::DeleteRule { chain, place, .. } => {
            let handle = found.handle(table, chain, *place);
            let delete = handle.map(|handle| Change::DeleteRule {
                chain: id(chain),
                handle,
            });
            delete.into_iter().collect()
        }
        Step::AppendRule { chain, rule } => vec![append(family, table, chain, rule)?],
        Step::DeleteChain(chain) => vec![Change::DeleteChain(id(chain))],
    })
}

/// One of the kernel's own chains, made where it does not stand.
fn hooked(family: Family, table: TableName, chain: &ChainName) -> Change {
    Change::AddChain {
        chain: layout::chain(family, table, chain),
        exclusive: false,
    }
}

fn append(
    family: Family,
    table: TableName,
    chain: &ChainName,
    rule: &Rule,
) -> Result<Change, Unwritable> {
    Ok(Change::AppendRule(object::Rule {
        chain: layout::table(family, table).chain(chain.as_str()),
        handle: 0,
        expressions: expressions(rule, family)?,
        userdata: Vec::new(),
    }))
}
