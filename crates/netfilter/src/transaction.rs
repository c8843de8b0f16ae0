//! The steps from the rules in a namespace to the wanted rules, as values and as the input of
//! `iptables-restore --noflush`. The rules of others are not changed.

use std::fmt;

use crate::drift::drift;
use crate::ownership::{Ownership, ours_with_indexes};
use crate::render::{push_line, rule_spec};
use crate::ruleset::{Chain, ChainName, Rule, RuleSet, Table, TableName};

/// The steps in one table, in order, as one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableSteps<'rules> {
    /// The table.
    pub table: TableName,
    /// The steps; there is at least one.
    pub steps: Vec<Step<'rules>>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'rules> {
    /// Create a chain of ours, or remove its rules if it exists.
    EmptyChain(&'rules ChainName),
    /// Delete a rule of ours from a built-in chain.
    DeleteRule {
        /// The chain.
        chain: &'rules ChainName,
        /// The index of the rule in the chain as it was found, from 0.
        index: usize,
        /// The rule.
        rule: &'rules Rule,
    },
    /// Append a rule.
    AppendRule {
        /// The chain.
        chain: &'rules ChainName,
        /// The rule.
        rule: &'rules Rule,
    },
    /// Delete a chain of ours, after its rules and the jumps to it.
    DeleteChain(&'rules ChainName),
}

/// The steps that replace our rules by the wanted ones; none if there is no [`drift`].
///
/// They delete our jumps, empty and fill our chains, and delete chains that are no longer wanted.
pub fn steps<'rules>(
    wanted: &'rules RuleSet,
    found: &'rules RuleSet,
    ownership: &Ownership,
) -> Vec<TableSteps<'rules>> {
    if drift(wanted, found, ownership).is_none() {
        return Vec::new();
    }
    let of_table = |table: TableName| {
        let steps = table_steps(table, wanted.table(table), found.table(table), ownership);
        (!steps.is_empty()).then_some(TableSteps { table, steps })
    };
    TableName::ALL.into_iter().filter_map(of_table).collect()
}

/// The same as text; empty if there is no [`drift`].
pub fn replace(wanted: &RuleSet, found: &RuleSet, ownership: &Ownership) -> String {
    let mut text = String::new();
    for TableSteps { table, steps } in steps(wanted, found, ownership) {
        push_line(&mut text, format_args!("*{table}"));
        for step in steps {
            push_line(&mut text, format_args!("{step}"));
        }
        push_line(&mut text, format_args!("COMMIT"));
    }
    text
}

/// Removes all of our rules; empty if there are none.
pub fn remove(found: &RuleSet, ownership: &Ownership) -> String {
    replace(&RuleSet::new(found.family), found, ownership)
}

fn table_steps<'rules>(
    name: TableName,
    wanted: Option<&'rules Table>,
    found: Option<&'rules Table>,
    ownership: &Ownership,
) -> Vec<Step<'rules>> {
    let nothing = Table::new(name);
    let mut steps = Vec::new();
    let stale = stale_chains(wanted.unwrap_or(&nothing), found, ownership);
    let emptied = wanted
        .into_iter()
        .flat_map(Table::user_chains)
        .chain(stale.iter().copied());
    steps.extend(emptied.map(|chain| Step::EmptyChain(&chain.name)));
    if let Some(found) = found {
        steps.extend(deletions(found, wanted.unwrap_or(&nothing), ownership));
    }
    for chain in wanted.into_iter().flat_map(|table| &table.chains) {
        let append = |rule| Step::AppendRule {
            chain: &chain.name,
            rule,
        };
        steps.extend(chain.rules.iter().map(append));
    }
    steps.extend(
        stale
            .into_iter()
            .map(|chain| Step::DeleteChain(&chain.name)),
    );
    steps
}

/// Deletes our rules from the built-in chains.
fn deletions<'found>(
    found: &'found Table,
    wanted: &Table,
    ownership: &Ownership,
) -> impl Iterator<Item = Step<'found>> {
    let builtin = |chain: &&Chain| found.name.builtin(&chain.name).is_some();
    found.chains.iter().filter(builtin).flat_map(move |chain| {
        let ours = ours_with_indexes(chain, found, wanted, ownership).into_iter();
        ours.map(|(index, rule)| Step::DeleteRule {
            chain: &chain.name,
            index,
            rule,
        })
    })
}

/// Chains of ours that are not wanted.
fn stale_chains<'found>(
    wanted: &Table,
    found: Option<&'found Table>,
    ownership: &Ownership,
) -> Vec<&'found Chain> {
    let chains = found.into_iter().flat_map(|table| &table.chains);
    let stale =
        |chain: &&Chain| ownership.has_chain(&chain.name) && wanted.chain(&chain.name).is_none();
    chains.filter(stale).collect()
}

impl fmt::Display for Step<'_> {
    /// As a line of `iptables-restore`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyChain(chain) => write!(f, ":{chain} - [0:0]"),
            Self::DeleteRule { chain, rule, .. } => write!(f, "-D {chain} {}", rule_spec(rule)),
            Self::AppendRule { chain, rule } => write!(f, "-A {chain} {}", rule_spec(rule)),
            Self::DeleteChain(chain) => write!(f, "-X {chain}"),
        }
    }
}
