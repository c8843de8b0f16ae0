//! A rule set in the language of `nft`, as `nft list ruleset` prints it once it is applied.

use std::fmt::Write as _;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::{Chain, Family, Table, TableName, Target};

use super::fold::{Folded, Value, Values, fold};
use super::names::table;
use super::statement::{self, Transport};
use crate::Unwritable;
use crate::field::Field;
use crate::object::Hook;

/// The tables of a rule set as input for `nft -f`, with counters of zero.
///
/// They equal what [`create`](super::create) makes over netlink, except that `nft` joins adjacent
/// ranges of a set. The policy routing of TPROXY is not included.
pub fn script(rules: &RuleSet) -> Result<String, Unwritable> {
    rules
        .tables
        .iter()
        .map(|table| table_block(rules.family, table))
        .collect()
}

fn table_block(family: Family, wanted: &Table) -> Result<String, Unwritable> {
    let chains: Vec<_> = wanted
        .chains
        .iter()
        .map(|chain| chain_block(family, wanted.name, chain))
        .collect::<Result<_, _>>()?;
    let name = table(family, wanted.name);
    Ok(format!("table {name} {{\n{}}}\n", chains.join("\n")))
}

fn chain_block(family: Family, table: TableName, chain: &Chain) -> Result<String, Unwritable> {
    let mut block = format!("\tchain {} {{\n", chain.name);
    let mut push = |line: &str| {
        writeln!(block, "\t\t{line}").expect("writing to a string does not fail");
    };
    if let Some(at) = table.builtin(&chain.name) {
        push(&hook_line(Hook::of(table, at)));
    }
    for folded in fold(&chain.rules) {
        let lines = rule_lines(family, &folded).ok_or_else(|| Unwritable::new(folded.rule))?;
        for line in lines {
            push(&line);
        }
    }
    block.push_str("\t}\n");
    Ok(block)
}

fn hook_line(hook: Hook) -> String {
    let at = hook.at.as_str().to_lowercase();
    let (kind, priority) = (hook.kind.as_str(), statement::priority(hook));
    format!("type {kind} hook {at} priority {priority}; policy accept;")
}

/// A rule; a second one discards what TPROXY does not deliver. `None` if `nft` has no equivalent.
fn rule_lines(family: Family, folded: &Folded<'_>) -> Option<Vec<String>> {
    let transport = Transport::of(&folded.rule.matches);
    let mut matches = statement::conditions(family, folded.common_matches(), transport)?;
    matches.extend(
        folded
            .values
            .as_ref()
            .map(|values| lookup(family, values, transport)),
    );
    let mut statements = matches.clone();
    // The elements of a set have counters of their own.
    statements.extend(folded.values.is_none().then(|| "counter".to_owned()));
    statements.extend(statement::target(&folded.rule.target)?);
    let comment = match folded.rule.comments().as_slice() {
        [] => None,
        [only] => Some(statement::comment(only)?),
        _ => return None,
    };
    statements.extend(comment.clone());
    let mut lines = vec![statements.join(" ")];
    if matches!(folded.rule.target, Target::Tproxy { .. }) {
        matches.push("drop".to_owned());
        matches.extend(comment);
        lines.push(matches.join(" "));
    }
    Some(lines)
}

/// The lookup in a set whose elements count.
fn lookup(family: Family, values: &Values, transport: Transport) -> String {
    let field = match values.field {
        Field::DestinationPort => format!("{transport} dport"),
        Field::Source => format!("{} saddr", statement::header(family)),
        _ => format!("{} daddr", statement::header(family)),
    };
    let mut elements: Vec<_> = values.values.iter().map(|(_, value)| *value).collect();
    elements.sort_unstable();
    let elements: Vec<_> = elements
        .into_iter()
        .map(|value| match value {
            Value::Ports(range) => format!("{} counter", statement::ports(range)),
            Value::Network(network) => format!("{} counter", statement::network(&network)),
        })
        .collect();
    format!("{field} {{ {} }}", elements.join(", "))
}
