//! Transaction — the input of `iptables-restore --noflush` that leads from what stands in a
//! namespace to what is wanted, without touching the rules of others.

use crate::chains;
use crate::drift::drift;
use crate::ownership::ours;
use crate::render::{push_line, rule_spec, user_chains, write_rules};
use crate::ruleset::{Chain, RuleSet, Table, TableName};

/// Replaces whatever of ours was found by what is wanted; empty where nothing has to change.
///
/// One transaction for each table: our jumps go, our chains are emptied and filled again, chains
/// that are no longer wanted are deleted.
pub fn replace(wanted: &RuleSet, found: &RuleSet) -> String {
    let mut text = String::new();
    if drift(wanted, found).is_some() {
        for name in TableName::ALL {
            let empty = Table::new(name);
            let from = found.table(name).unwrap_or(&empty);
            let to = wanted.table(name).unwrap_or(&empty);
            replace_table(&mut text, to, from);
        }
    }
    text
}

/// Removes whatever of ours was found; empty where nothing is.
pub fn remove(found: &RuleSet) -> String {
    replace(&RuleSet::new(found.family), found)
}

fn replace_table(text: &mut String, wanted: &Table, found: &Table) {
    let mut body = String::new();
    for chain in user_chains(wanted) {
        push_line(&mut body, format_args!(":{} - [0:0]", chain.name));
    }
    let stale: Vec<_> = found
        .chains
        .iter()
        .filter(|chain| is_stale(chain, wanted))
        .collect();
    for chain in &stale {
        push_line(&mut body, format_args!(":{} - [0:0]", chain.name));
    }
    for chain in found
        .chains
        .iter()
        .filter(|chain| chain.name.builtin().is_some())
    {
        for rule in ours(chain, found, wanted) {
            push_line(
                &mut body,
                format_args!("-D {} {}", chain.name, rule_spec(rule)),
            );
        }
    }
    for chain in &wanted.chains {
        write_rules(&mut body, chain);
    }
    for chain in &stale {
        push_line(&mut body, format_args!("-X {}", chain.name));
    }
    if !body.is_empty() {
        push_line(text, format_args!("*{}", wanted.name));
        text.push_str(&body);
        push_line(text, format_args!("COMMIT"));
    }
}

fn is_stale(chain: &Chain, wanted: &Table) -> bool {
    chains::is_ours(&chain.name) && wanted.chain(&chain.name).is_none()
}
