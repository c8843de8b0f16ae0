//! The input of `iptables-restore --noflush` and `ip6tables-restore --noflush`.

use std::fmt::Write as _;

use super::rule_spec;
use crate::ruleset::{Chain, RuleSet, Table};

/// One transaction a table, for a namespace that holds none of our chains yet.
///
/// Chains are made with `-N`, which refuses the whole table where one of them exists already:
/// nothing is programmed twice or mixed by accident.
/// [`transaction::replace`](crate::transaction::replace) is for a namespace that has rules.
pub fn restore(rules: &RuleSet) -> String {
    let mut text = String::new();
    for table in &rules.tables {
        write_table(&mut text, table);
    }
    text
}

fn write_table(text: &mut String, table: &Table) {
    push_line(text, format_args!("*{}", table.name));
    for chain in user_chains(table) {
        push_line(text, format_args!("-N {}", chain.name));
    }
    for chain in &table.chains {
        write_rules(text, chain);
    }
    push_line(text, format_args!("COMMIT"));
}

fn write_rules(text: &mut String, chain: &Chain) {
    for rule in &chain.rules {
        push_line(text, format_args!("-A {} {}", chain.name, rule_spec(rule)));
    }
}

pub(crate) fn user_chains(table: &Table) -> impl Iterator<Item = &Chain> {
    let chains = table.chains.iter();
    chains.filter(|chain| chain.name.builtin().is_none())
}

pub(crate) fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes every write");
}
