//! A rule set in the language of `nft`, as `nft list ruleset` shows it once it stands.

use std::fmt::Write as _;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::{Chain, Family, Match, Rule, Table, TableName, Target};

use super::fold::{Folded, Kind, Values, fold};
use super::standing::table;
use super::words::{self, Transport};
use crate::Unwritable;
use crate::compat::layout::hook;
use crate::object::Hook;

/// The tables of a rule set as input of `nft -f`, nothing counted yet.
///
/// What [`create`](super::create) makes over netlink, `nft` makes of this: the same tables, chains,
/// rules and sets. The policy routing of TPROXY is no part of it.
pub fn script(rules: &RuleSet) -> Result<String, Unwritable> {
    let tables = rules.tables.iter();
    tables
        .map(|table| table_block(rules.family, table))
        .collect()
}

fn table_block(family: Family, wanted: &Table) -> Result<String, Unwritable> {
    let chains = wanted.chains.iter();
    let chains = chains.map(|chain| chain_block(family, wanted.name, chain));
    let chains: Vec<_> = chains.collect::<Result<_, _>>()?;
    let name = table(family, wanted.name);
    Ok(format!("table {name} {{\n{}}}\n", chains.join("\n")))
}

fn chain_block(family: Family, table: TableName, chain: &Chain) -> Result<String, Unwritable> {
    let mut block = format!("\tchain {} {{\n", chain.name);
    let mut line = |words: &str| {
        writeln!(block, "\t\t{words}").expect("a string takes whatever is written to it");
    };
    if let Some(at) = chain.name.builtin() {
        line(&hook_line(hook(table, at)));
    }
    for (kind, folded) in fold(&chain.rules) {
        for words in rule_lines(family, kind, &folded)? {
            line(&words);
        }
    }
    block.push_str("\t}\n");
    Ok(block)
}

fn hook_line(hook: Hook) -> String {
    let at = hook.at.as_str().to_lowercase();
    let (kind, priority) = (hook.kind.as_str(), words::priority(hook));
    format!("type {kind} hook {at} priority {priority}; policy accept;")
}

/// A rule, or what several rules were; what TPROXY hands to nobody is discarded by a second one.
fn rule_lines(
    family: Family,
    kind: Option<Kind>,
    folded: &Folded<'_>,
) -> Result<Vec<String>, Unwritable> {
    let (like, values) = match folded {
        Folded::Rule(rule) => (*rule, None),
        Folded::Rules { like, values } => (*like, kind.zip(Some(values))),
    };
    let before = before_target(family, like, values).ok_or_else(|| Unwritable::new(like))?;
    let target = words::target(&like.target).ok_or_else(|| Unwritable::new(like))?;
    // The elements of a set count by themselves.
    let counter = values.is_none().then(|| "counter".to_owned());
    let with = |after: Vec<String>| {
        let parts = before.iter().cloned().chain(after);
        parts.collect::<Vec<_>>().join(" ")
    };
    let mut lines = vec![with(counter.into_iter().chain(target).collect())];
    if matches!(like.target, Target::Tproxy { .. }) {
        lines.push(with(vec!["drop".to_owned()]));
    }
    Ok(lines)
}

/// The conditions of a rule, or of several with the value in which they differ; `None` where there
/// are no words for one.
fn before_target(
    family: Family,
    like: &Rule,
    values: Option<(Kind, &Values)>,
) -> Option<Vec<String>> {
    let differ = |condition: &&Match| values.is_some_and(|(kind, _)| kind.is_of(condition));
    let alike = like.matches.iter().filter(|condition| !differ(condition));
    let alike: Vec<_> = alike.collect();
    let transport = Transport::of(&like.matches);
    let mut words = words::conditions(family, &alike, transport)?;
    if let Some((kind, values)) = values {
        words.push(varying(family, kind, values, transport));
    }
    Some(words)
}

fn varying(family: Family, kind: Kind, values: &Values, transport: Transport) -> String {
    match values {
        Values::Ports(ports) => {
            let mut ports: Vec<_> = ports.iter().map(|(_, port)| port.get()).collect();
            ports.sort_unstable();
            let set = counting_set(ports.iter().map(u16::to_string));
            format!("{transport} dport {set}")
        }
        Values::Networks(networks) => {
            let mut networks: Vec<IpNetwork> =
                networks.iter().map(|(_, network)| *network).collect();
            networks.sort_unstable();
            let set = counting_set(networks.iter().map(words::network));
            let side = if kind == Kind::Source {
                "saddr"
            } else {
                "daddr"
            };
            format!("{} {side} {set}", words::header(family))
        }
    }
}

fn counting_set(elements: impl Iterator<Item = String>) -> String {
    let elements = elements.map(|element| format!("{element} counter"));
    format!("{{ {} }}", elements.collect::<Vec<_>>().join(", "))
}
