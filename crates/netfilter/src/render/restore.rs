//! The input of `iptables-restore --noflush` and `ip6tables-restore --noflush`.

use std::fmt::Write as _;

use super::rule_spec;
use crate::ruleset::{RuleSet, Table};

/// One transaction per table, for a namespace that has none of the chains.
///
/// Chains are created with `-N`, which fails for the whole table if one of them exists. For a
/// namespace that has rules, see [`transaction::replace`](crate::transaction::replace).
pub fn restore(rules: &RuleSet) -> String {
    let mut text = String::new();
    for table in &rules.tables {
        write_table(&mut text, table);
    }
    text
}

fn write_table(text: &mut String, table: &Table) {
    push_line(text, format_args!("*{}", table.name));
    for chain in table.user_chains() {
        push_line(text, format_args!("-N {}", chain.name));
    }
    for chain in &table.chains {
        for rule in &chain.rules {
            push_line(text, format_args!("-A {} {}", chain.name, rule_spec(rule)));
        }
    }
    push_line(text, format_args!("COMMIT"));
}

pub(crate) fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string does not fail");
}
