//! The changes that create, replace and remove rules in iptables' tables.

use mesh_cni_netfilter::ruleset::{ChainName, Rule, TableName};
use mesh_cni_netfilter::transaction::{self, Step, TableSteps};
use mesh_cni_netfilter::{Ownership, RuleSet};

use super::encode::expressions;
use super::installed::InstalledRules;
use crate::Unwritable;
use crate::change::Change;
use crate::object::{self, Table};

/// The changes that create rules where none of ours exist.
///
/// The kernel refuses the batch if one of our chains exists already, so that rules are never
/// applied twice.
pub fn create(wanted: &RuleSet) -> Result<Vec<Change>, Unwritable> {
    let mut changes = Vec::new();
    for iptables in &wanted.tables {
        let table = Table::of_iptables(wanted.family, iptables.name);
        changes.push(Change::AddTable(table.clone()));
        let own_chains = iptables
            .user_chains()
            .map(|chain| add_chain(&table, iptables.name, &chain.name, true));
        changes.extend(own_chains);
        for chain in &iptables.chains {
            if iptables.name.builtin(&chain.name).is_some() {
                changes.push(add_chain(&table, iptables.name, &chain.name, false));
            }
            for rule in &chain.rules {
                changes.push(append(&table, &chain.name, rule)?);
            }
        }
    }
    Ok(changes)
}

/// The changes that replace our installed rules by the wanted ones; empty if nothing differs.
pub fn replace(
    wanted: &RuleSet,
    installed: &InstalledRules,
    ownership: &Ownership,
) -> Result<Vec<Change>, Unwritable> {
    let mut changes = Vec::new();
    for TableSteps {
        table: name, steps, ..
    } in transaction::steps(wanted, &installed.rules, ownership)
    {
        let table = Table::of_iptables(wanted.family, name);
        changes.push(Change::AddTable(table.clone()));
        let mut builtin_chains = Vec::new();
        for step in steps {
            match step {
                Step::EmptyChain(chain) => {
                    changes.push(add_chain(&table, name, chain, false));
                    changes.push(Change::FlushChain(table.chain(chain.as_str())));
                }
                Step::DeleteRule { chain, index, .. } => {
                    let handle = installed.handle(name, chain, index);
                    changes.extend(handle.map(|handle| Change::DeleteRule {
                        chain: table.chain(chain.as_str()),
                        handle,
                    }));
                }
                Step::AppendRule { chain, rule } => {
                    if name.builtin(chain).is_some() && !builtin_chains.contains(&chain) {
                        builtin_chains.push(chain);
                        changes.push(add_chain(&table, name, chain, false));
                    }
                    changes.push(append(&table, chain, rule)?);
                }
                Step::DeleteChain(chain) => {
                    changes.push(Change::DeleteChain(table.chain(chain.as_str())));
                }
            }
        }
    }
    Ok(changes)
}

/// The changes that remove our installed rules; empty if there are none.
pub fn remove(installed: &InstalledRules, ownership: &Ownership) -> Vec<Change> {
    let nothing = RuleSet::new(installed.rules.family);
    // An empty rule set has no rule that could be unwritable.
    replace(&nothing, installed, ownership).unwrap_or_default()
}

fn add_chain(table: &Table, iptables: TableName, name: &ChainName, exclusive: bool) -> Change {
    Change::AddChain {
        chain: table.new_chain(iptables, name),
        exclusive,
    }
}

fn append(table: &Table, chain: &ChainName, rule: &Rule) -> Result<Change, Unwritable> {
    Ok(Change::AppendRule(object::Rule {
        chain: table.chain(chain.as_str()),
        handle: 0,
        expressions: expressions(rule, table.family)?,
        // iptables reads comments from a match.
        comment: None,
    }))
}
