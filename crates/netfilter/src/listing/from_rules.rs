//! A listing from a rule set, with all chains in the order of `iptables -L`.

use super::{Heading, ListedChain, ListedRule, Listing, columns};
use crate::Ownership;
use crate::ruleset::{Chain, ChainName, Family, Match, Policy, Rule, RuleSet, Table, TableName};

pub(super) fn list(rules: &RuleSet, name: TableName, ownership: &Ownership) -> Listing {
    let empty = Table::new(name);
    let table = rules.table(name).unwrap_or(&empty);
    let builtin = name.builtin_chains().iter().map(|chain| {
        let chain_name = ChainName::from(*chain);
        match table.chain(&chain_name) {
            Some(chain) => list_chain(table, chain, rules.family),
            None => list_chain(table, &Chain::new(name, chain_name), rules.family),
        }
    });
    let others = user_chains_in_order(table, ownership)
        .into_iter()
        .map(|chain| list_chain(table, chain, rules.family));
    Listing {
        chains: builtin.chain(others).collect(),
    }
}

/// The chains that programs created: ours in the order of the ownership, then others.
fn user_chains_in_order<'found>(table: &'found Table, ownership: &Ownership) -> Vec<&'found Chain> {
    let mut user_chains: Vec<_> = table.user_chains().collect();
    user_chains.sort_by_key(|chain| {
        let ours = ownership.chains.iter().position(|ours| *ours == chain.name);
        ours.unwrap_or(ownership.chains.len())
    });
    user_chains
}

fn list_chain(table: &Table, chain: &Chain, family: Family) -> ListedChain {
    let heading = match chain.policy {
        Some(Policy { verdict, counters }) => Heading::Policy(verdict, counters),
        None => Heading::References(table.references(&chain.name)),
    };
    let numbered = chain.rules.iter().zip(1..);
    ListedChain {
        name: chain.name.to_string(),
        heading,
        rules: numbered
            .map(|(rule, number)| list_rule(rule, number, family))
            .collect(),
    }
}

fn list_rule(rule: &Rule, number: usize, family: Family) -> ListedRule {
    let mut listed = ListedRule {
        number,
        counters: rule.counters,
        target: columns::target(&rule.target),
        protocol: "all".to_owned(),
        options: "--".to_owned(),
        in_interface: "*".to_owned(),
        out_interface: "*".to_owned(),
        source: family.anywhere().to_owned(),
        destination: family.anywhere().to_owned(),
        details: columns::details(rule, family),
    };
    for condition in &rule.matches {
        fill_column(&mut listed, condition);
    }
    listed
}

fn fill_column(listed: &mut ListedRule, condition: &Match) {
    match condition {
        Match::Source(sense, range) => listed.source = columns::address(*sense, *range),
        Match::Destination(sense, range) => listed.destination = columns::address(*sense, *range),
        Match::InInterface(sense, name) => {
            listed.in_interface = format!("{}{name}", columns::negation(*sense));
        }
        Match::OutInterface(sense, name) => {
            listed.out_interface = format!("{}{name}", columns::negation(*sense));
        }
        Match::Protocol(sense, protocol) => {
            listed.protocol = format!("{}{protocol}", columns::negation(*sense));
        }
        // The others have no column.
        _ => {}
    }
}
