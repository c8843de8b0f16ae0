//! Drift: the first difference between the wanted rules and those that were found.

use thiserror::Error;

use crate::interchange::are_equivalent;
use crate::ownership::{Ownership, ours};
use crate::render::rule_spec;
use crate::ruleset::{Chain, ChainName, Family, PolicyRouting, Rule, RuleSet, Table, TableName};

/// The first difference. Rules are written as options of the iptables command line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Drift {
    /// A chain of ours is missing.
    #[error("table {table}: chain {chain} is missing")]
    MissingChain {
        /// The table.
        table: TableName,
        /// The name of the chain.
        chain: ChainName,
    },
    /// A chain of ours is not wanted.
    #[error("table {table}: chain {chain} should not be there")]
    UnexpectedChain {
        /// The table.
        table: TableName,
        /// The name of the chain.
        chain: ChainName,
    },
    /// A built-in chain with rules of ours is not where iptables has it, so packets do not reach them.
    #[error("table {table}: chain {chain} is not at its netfilter hook")]
    NoHook {
        /// The table.
        table: TableName,
        /// The name of the chain.
        chain: ChainName,
    },
    /// A rule is missing.
    #[error("table {table}, chain {chain}: rule {number} is missing, wanted `{wanted}`")]
    MissingRule {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// The number of the rule among ours in that chain, from 1.
        number: usize,
        /// The rule.
        wanted: String,
    },
    /// A rule of ours is not wanted.
    #[error("table {table}, chain {chain}: rule {number} should not be there, found `{found}`")]
    UnexpectedRule {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// The number of the rule among ours in that chain, from 1.
        number: usize,
        /// The rule.
        found: String,
    },
    /// The policy routing differs.
    #[error("policy routing: wanted {}, found {}", routing_text(*wanted), routing_text(*found))]
    Routing {
        /// The wanted routing.
        wanted: Option<PolicyRouting>,
        /// The routing that was found.
        found: Option<PolicyRouting>,
    },
    /// A rule differs.
    #[error(
        "table {table}, chain {chain}: rule {number} differs, wanted `{wanted}`, found `{found}`"
    )]
    DifferentRule {
        /// The table.
        table: TableName,
        /// The chain.
        chain: ChainName,
        /// The number of the rule among ours in that chain, from 1.
        number: usize,
        /// The wanted rule.
        wanted: String,
        /// The rule that was found.
        found: String,
    },
}

/// Compares what is ours in the rules of one family, and returns the first difference.
///
/// Ignores counters, the rules of others, and the order of interchangeable rules
/// ([`interchange`](crate::interchange)). All rules in our chains are ours; see [`Ownership`] for
/// those in the built-in chains.
pub fn drift(wanted: &RuleSet, found: &RuleSet, ownership: &Ownership) -> Option<Drift> {
    differences(wanted, found, ownership).into_iter().next()
}

/// Compares as [`drift`] does, and returns every difference. Rules after one that is missing or
/// added are not differences.
pub fn differences(wanted: &RuleSet, found: &RuleSet, ownership: &Ownership) -> Vec<Drift> {
    let in_tables = TableName::ALL.into_iter().flat_map(|name| {
        let empty = Table::new(name);
        let wanted = wanted.table(name).unwrap_or(&empty);
        let found = found.table(name).unwrap_or(&empty);
        table_drift(wanted, found, ownership)
    });
    let (wanted, found) = (wanted.routing, found.routing);
    let routing = !PolicyRouting::is_found(wanted, found);
    let routing = routing.then_some(Drift::Routing { wanted, found });
    in_tables.chain(routing).collect()
}

/// Compares what is ours in the rules of all families.
///
/// A family without a wanted rule set must have no rules of ours.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::{ChainName, Family, Ownership, drift_all, parse};
///
/// let ownership = Ownership {
///     chains: vec![ChainName::new("PROXY")?].into(),
///     ..Ownership::default()
/// };
/// let saved = "*nat\n:PROXY - [0:0]\n-A PROXY -j RETURN\nCOMMIT\n";
/// let [v4, v6] = Family::ALL.map(|family| parse::save(saved, family));
/// let difference = drift_all(&[v4.clone()?], &[v4?, v6?], &ownership);
/// assert_eq!(
///     difference.unwrap().to_string(),
///     "table nat: chain PROXY should not be there"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn drift_all(wanted: &[RuleSet], found: &[RuleSet], ownership: &Ownership) -> Option<Drift> {
    Family::ALL.into_iter().find_map(|family| {
        let empty = RuleSet::new(family);
        let wanted = of_family(wanted, family).unwrap_or(&empty);
        let found = of_family(found, family).unwrap_or(&empty);
        drift(wanted, found, ownership)
    })
}

fn of_family(rule_sets: &[RuleSet], family: Family) -> Option<&RuleSet> {
    rule_sets.iter().find(|rules| rules.family == family)
}

fn routing_text(routing: Option<PolicyRouting>) -> String {
    match routing {
        Some(PolicyRouting {
            mark,
            table,
            priority,
        }) => {
            let priority = priority.map(|priority| format!("pref {priority} "));
            let priority = priority.unwrap_or_default();
            format!("`{priority}fwmark {mark} lookup {table}`")
        }
        None => "none".to_owned(),
    }
}

fn table_drift(wanted: &Table, found: &Table, ownership: &Ownership) -> Vec<Drift> {
    let chains = wanted.chains.iter();
    let in_wanted = chains.flat_map(|chain| chain_drift(chain, wanted, found, ownership));
    in_wanted
        .chain(unexpected(wanted, found, ownership))
        .collect()
}

/// What is ours in chains that the wanted table does not have.
fn unexpected(wanted: &Table, found: &Table, ownership: &Ownership) -> Vec<Drift> {
    let added = found
        .chains
        .iter()
        .filter(|chain| wanted.chain(&chain.name).is_none());
    added
        .flat_map(|chain| {
            if ownership.has_chain(&chain.name) {
                return vec![Drift::UnexpectedChain {
                    table: found.name,
                    chain: chain.name.clone(),
                }];
            }
            if found.name.builtin(&chain.name).is_none() {
                return Vec::new();
            }
            let rules = ours(chain, found, wanted, ownership);
            rules_drift(found.name, &chain.name, &[], &rules)
        })
        .collect()
}

fn chain_drift(chain: &Chain, wanted: &Table, found: &Table, ownership: &Ownership) -> Vec<Drift> {
    let found_rules = match (found.chain(&chain.name), found.name.builtin(&chain.name)) {
        (Some(found_chain), Some(_)) if found_chain.policy.is_none() && !chain.rules.is_empty() => {
            return vec![Drift::NoHook {
                table: found.name,
                chain: chain.name.clone(),
            }];
        }
        (Some(chain), Some(_)) => ours(chain, found, wanted, ownership),
        (Some(chain), None) => all(chain),
        (None, Some(_)) => Vec::new(),
        (None, None) => {
            return vec![Drift::MissingChain {
                table: found.name,
                chain: chain.name.clone(),
            }];
        }
    };
    rules_drift(found.name, &chain.name, &all(chain), &found_rules)
}

fn all(chain: &Chain) -> Vec<&Rule> {
    chain.rules.iter().collect()
}

fn rules_drift(
    table: TableName,
    chain: &ChainName,
    wanted: &[&Rule],
    found: &[&Rule],
) -> Vec<Drift> {
    if are_equivalent(wanted, found) {
        return Vec::new();
    }
    let equal = |(wanted, found): &(&&Rule, &&Rule)| wanted.is_equivalent(found);
    let before = wanted.iter().zip(found).take_while(equal).count();
    let (wanted, found) = (&wanted[before..], &found[before..]);
    let after = wanted.iter().rev().zip(found.iter().rev());
    let after = after.take_while(equal).count();
    let (wanted, found) = (
        &wanted[..wanted.len() - after],
        &found[..found.len() - after],
    );
    let longest = wanted.len().max(found.len());
    let difference = |index: usize| {
        let (chain, number) = (chain.clone(), before + index + 1);
        match (wanted.get(index), found.get(index)) {
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
    };
    (0..longest).filter_map(difference).collect()
}
