//! Drift — the first difference between the rules that are wanted and those that were found.

use thiserror::Error;

use crate::interchange::are_equivalent;
use crate::ownership::{Ownership, ours};
use crate::render::rule_spec;
use crate::ruleset::{Chain, ChainName, PolicyRouting, Rule, RuleSet, Table, TableName};

/// The first difference, in the words of the iptables command line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Drift {
    /// A chain of ours is not there.
    #[error("table {table}: chain {chain} is missing")]
    MissingChain {
        /// The table in which it should be.
        table: TableName,
        /// Its name.
        chain: ChainName,
    },
    /// A chain of ours is there that this rule set does not have.
    #[error("table {table}: chain {chain} should not be there")]
    UnexpectedChain {
        /// The table in which it is.
        table: TableName,
        /// Its name.
        chain: ChainName,
    },
    /// A rule is not there.
    #[error("table {table}, chain {chain}: rule {number} is missing, wanted `{wanted}`")]
    MissingRule {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// Which of our rules in that chain, from 1.
        number: usize,
        /// The rule.
        wanted: String,
    },
    /// A rule is there that should not be.
    #[error("table {table}, chain {chain}: rule {number} should not be there, found `{found}`")]
    UnexpectedRule {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// Which of our rules in that chain, from 1.
        number: usize,
        /// The rule.
        found: String,
    },
    /// The policy routing is not the wanted one.
    #[error("policy routing: wanted {}, found {}", words(*wanted), words(*found))]
    Routing {
        /// What should stand.
        wanted: Option<PolicyRouting>,
        /// What stands.
        found: Option<PolicyRouting>,
    },
    /// Another rule stands in its place.
    #[error(
        "table {table}, chain {chain}: rule {number} differs, wanted `{wanted}`, found `{found}`"
    )]
    DifferentRule {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// Which of our rules in that chain, from 1.
        number: usize,
        /// The rule that should be there.
        wanted: String,
        /// The rule that is.
        found: String,
    },
}

/// Compares what is ours; counters and the rules of others do not count, nor does the order of
/// neighbours that do the same ([`interchange`](crate::interchange)).
///
/// In our own chains every rule counts, whoever put it there. In the kernel's chains those rules
/// count that lead to our chains.
pub fn drift(wanted: &RuleSet, found: &RuleSet, ownership: &Ownership) -> Option<Drift> {
    let in_tables = TableName::ALL.into_iter().find_map(|name| {
        let empty = Table::new(name);
        let wanted = wanted.table(name).unwrap_or(&empty);
        let found = found.table(name).unwrap_or(&empty);
        table_drift(wanted, found, ownership)
    });
    in_tables.or_else(|| {
        let (wanted, found) = (wanted.routing, found.routing);
        (wanted != found).then_some(Drift::Routing { wanted, found })
    })
}

fn words(routing: Option<PolicyRouting>) -> String {
    match routing {
        Some(PolicyRouting { mark, table }) => format!("`fwmark {mark} lookup {table}`"),
        None => "none".to_owned(),
    }
}

fn table_drift(wanted: &Table, found: &Table, ownership: &Ownership) -> Option<Drift> {
    let mut chains = wanted.chains.iter();
    let missing = chains.find_map(|chain| chain_drift(chain, wanted, found, ownership));
    missing.or_else(|| unexpected(wanted, found, ownership))
}

/// What is there of ours in chains that the wanted table does not have.
fn unexpected(wanted: &Table, found: &Table, ownership: &Ownership) -> Option<Drift> {
    let mut others = found.chains.iter();
    others.find_map(|chain| {
        if wanted.chain(&chain.name).is_some() {
            return None;
        }
        if ownership.has_chain(&chain.name) {
            return Some(Drift::UnexpectedChain {
                table: found.name,
                chain: chain.name.clone(),
            });
        }
        chain.name.builtin()?;
        rules_drift(
            found.name,
            &chain.name,
            &[],
            &ours(chain, found, wanted, ownership),
        )
    })
}

fn chain_drift(
    chain: &Chain,
    wanted: &Table,
    found: &Table,
    ownership: &Ownership,
) -> Option<Drift> {
    let standing = match (found.chain(&chain.name), chain.name.builtin()) {
        (Some(standing), Some(_)) => ours(standing, found, wanted, ownership),
        (Some(standing), None) => all(standing),
        (None, Some(_)) => Vec::new(),
        (None, None) => {
            return Some(Drift::MissingChain {
                table: found.name,
                chain: chain.name.clone(),
            });
        }
    };
    rules_drift(found.name, &chain.name, &all(chain), &standing)
}

fn all(chain: &Chain) -> Vec<&Rule> {
    chain.rules.iter().collect()
}

fn rules_drift(
    table: TableName,
    chain: &ChainName,
    wanted: &[&Rule],
    found: &[&Rule],
) -> Option<Drift> {
    if are_equivalent(wanted, found) {
        return None;
    }
    let longest = wanted.len().max(found.len());
    (0..longest).find_map(|at| {
        let (chain, number) = (chain.clone(), at + 1);
        match (wanted.get(at), found.get(at)) {
            (Some(wanted), Some(found)) if wanted.is_equivalent(found) => None,
            (Some(wanted), Some(found)) => Some(Drift::DifferentRule {
                table,
                chain,
                number,
                wanted: rule_spec(wanted),
                found: rule_spec(found),
            }),
            (Some(wanted), None) => Some(Drift::MissingRule {
                table,
                chain,
                number,
                wanted: rule_spec(wanted),
            }),
            (None, Some(found)) => Some(Drift::UnexpectedRule {
                table,
                chain,
                number,
                found: rule_spec(found),
            }),
            (None, None) => None,
        }
    })
}
