//! Rule sets as JSON for programs, a rule to a line for people.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::render::rule_spec;
use crate::ruleset::{
    Chain, Counters, Mark, Match, PolicyRouting, Rule, RuleSet, Sense, Table, Target,
};

/// Rule sets as a JSON array with a final newline.
///
/// A match is an object with one key, its name, around `{"not": …}` where it is negated; a target
/// is a string or an object with one key. `rule` says the same in the words of iptables.
pub fn json(rule_sets: &[RuleSet]) -> String {
    let sets = rule_sets.iter().map(rule_set);
    let mut text = array(sets, 0);
    text.push('\n');
    text
}

fn rule_set(rules: &RuleSet) -> String {
    let family = json!(rules.family.to_string());
    let tables = array(rules.tables.iter().map(table), 4);
    let routing = match rules.routing {
        Some(PolicyRouting { mark, table }) => json!({ "mark": mark, "table": table }),
        None => Value::Null,
    };
    format!(
        "{{\n    \"family\": {family},\n    \"routing\": {routing},\n    \"tables\": {tables}\n  }}"
    )
}

fn table(table: &Table) -> String {
    let name = json!(table.name.as_str());
    let chains = array(table.chains.iter().map(chain), 8);
    format!("{{\n        \"name\": {name},\n        \"chains\": {chains}\n      }}")
}

fn chain(chain: &Chain) -> String {
    let name = json!(chain.name.as_str());
    let mut text = format!("{{\n            \"name\": {name},\n");
    if let Some(policy) = chain.policy {
        let Counters { packets, bytes } = policy.counters;
        let verdict = policy.verdict.to_string();
        let policy = json!({"verdict": verdict, "packets": packets, "bytes": bytes});
        writeln!(text, "            \"policy\": {policy},").expect("a string takes every write");
    }
    let rules = chain.rules.iter().map(|written| rule(written).to_string());
    write!(
        text,
        "            \"rules\": {}\n          }}",
        array(rules, 12)
    )
    .expect("a string takes every write");
    text
}

fn rule(rule: &Rule) -> Value {
    json!({
        "rule": rule_spec(rule),
        "matches": rule.matches.iter().map(condition).collect::<Vec<_>>(),
        "target": target(&rule.target),
        "packets": rule.counters.packets,
        "bytes": rule.counters.bytes,
    })
}

fn condition(condition: &Match) -> Value {
    let (name, sense, value) = match condition {
        Match::Source(sense, range) => ("source", *sense, json!(range.to_string())),
        Match::Destination(sense, range) => ("destination", *sense, json!(range.to_string())),
        Match::InInterface(sense, name) => ("in_interface", *sense, json!(name.as_str())),
        Match::OutInterface(sense, name) => ("out_interface", *sense, json!(name.as_str())),
        Match::Protocol(sense, protocol) => ("protocol", *sense, json!(protocol.as_str())),
        Match::SourcePort(sense, port) => ("source_port", *sense, json!(port.get())),
        Match::DestinationPort(sense, port) => ("destination_port", *sense, json!(port.get())),
        Match::DestinationPorts(sense, ports) => {
            let ports: Vec<_> = ports.iter().map(|port| port.get()).collect();
            ("destination_ports", *sense, json!(ports))
        }
        Match::OwnerUid(sense, user) => ("owner_uid", *sense, json!(user.0)),
        Match::OwnerGid(sense, group) => ("owner_gid", *sense, json!(group.0)),
        Match::Mark(sense, value) => ("mark", *sense, mark(*value)),
        Match::Connmark(sense, value) => ("connmark", *sense, mark(*value)),
        Match::ConntrackState(sense, states) => {
            let states: Vec<_> = states.iter().map(|state| state.as_str()).collect();
            ("conntrack_state", *sense, json!(states))
        }
        Match::Comment(text) => ("comment", Sense::Is, json!(text)),
        Match::Opaque(words) => ("opaque", Sense::Is, json!(words)),
    };
    match sense {
        Sense::Is => json!({ name: value }),
        Sense::IsNot => json!({ "not": { name: value } }),
    }
}

fn target(target: &Target) -> Value {
    match target {
        Target::Return => json!("return"),
        Target::Accept => json!("accept"),
        Target::Drop => json!("drop"),
        Target::Jump(chain) => json!({ "jump": chain.as_str() }),
        Target::Redirect(port) => json!({ "redirect": port.get() }),
        Target::Tproxy { port, mark: value } => {
            json!({ "tproxy": { "port": port.get(), "mark": mark(*value) } })
        }
        Target::SetMark(value) => json!({ "set_mark": mark(*value) }),
        Target::SaveMark => json!("save_mark"),
        Target::RestoreMark => json!("restore_mark"),
        Target::ConntrackZone(zone) => json!({ "conntrack_zone": zone }),
        Target::Opaque(words) => json!({ "opaque": words }),
    }
}

fn mark(mark: Mark) -> Value {
    json!({ "value": mark.value, "mask": mark.mask })
}

/// An array with an item to a line, indented behind `indent` blanks.
fn array(items: impl Iterator<Item = String>, indent: usize) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        return "[]".to_owned();
    }
    let blanks = " ".repeat(indent);
    let items = items.join(&format!(",\n{blanks}  "));
    format!("[\n{blanks}  {items}\n{blanks}]")
}
