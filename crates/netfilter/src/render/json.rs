//! Rule sets as JSON.

use serde_json::{Value, json};

use crate::render::rule_spec;
use crate::ruleset::{
    Chain, Counters, Mark, Match, Policy, PolicyRouting, Rule, RuleSet, Sense, Table, Target,
};
use crate::value::PortRange;

/// Rule sets as an indented JSON array with a final newline.
///
/// A match is an object with one key, its name, or `{"not": …}` around that if it is negated; a
/// target is a string or an object with one key. `rule` is the same as iptables writes it.
pub fn json(rule_sets: &[RuleSet]) -> String {
    let sets: Vec<_> = rule_sets.iter().map(rule_set).collect();
    format!("{:#}\n", Value::Array(sets))
}

fn rule_set(rules: &RuleSet) -> Value {
    let routing = rules.routing.map(
        |PolicyRouting {
             mark: Mark { value, mask },
             table,
             priority,
         }| {
            json!({ "mark": value, "mask": mask, "table": table, "priority": priority })
        },
    );
    json!({
        "family": rules.family.to_string(),
        "routing": routing,
        "tables": rules.tables.iter().map(table).collect::<Vec<_>>(),
    })
}

fn table(table: &Table) -> Value {
    json!({
        "name": table.name.as_str(),
        "chains": table.chains.iter().map(chain).collect::<Vec<_>>(),
    })
}

/// Only built-in chains have the key `policy`.
fn chain(chain: &Chain) -> Value {
    let mut value = json!({ "name": chain.name.as_str() });
    if let Some(Policy { verdict, counters }) = chain.policy {
        let Counters { packets, bytes } = counters;
        value["policy"] =
            json!({ "verdict": verdict.to_string(), "packets": packets, "bytes": bytes });
    }
    value["rules"] = chain.rules.iter().map(rule).collect();
    value
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
        Match::SourcePort(sense, range) => ("source_port", *sense, ports(*range)),
        Match::DestinationPort(sense, range) => ("destination_port", *sense, ports(*range)),
        Match::TcpSyn(sense) => ("tcp_syn", *sense, json!(true)),
        Match::Icmpv6Type(sense, number) => ("icmpv6_type", *sense, json!(number)),
        Match::DestinationPorts(sense, ranges) => {
            let list: Value = ranges.iter().copied().map(ports).collect();
            ("destination_ports", *sense, list)
        }
        Match::OwnerUid(sense, users) => {
            let ids = range(users.first().0, users.last().0);
            ("owner_uid", *sense, ids)
        }
        Match::OwnerGid(sense, groups) => {
            let ids = range(groups.first().0, groups.last().0);
            ("owner_gid", *sense, ids)
        }
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

fn ports(ports: PortRange) -> Value {
    range(ports.first().into(), ports.last().into())
}

/// A single port or id as a number, a range as an object.
fn range(first: u32, last: u32) -> Value {
    if first == last {
        json!(first)
    } else {
        json!({ "first": first, "last": last })
    }
}

fn target(target: &Target) -> Value {
    match target {
        Target::Return => json!("return"),
        Target::Accept => json!("accept"),
        Target::Drop => json!("drop"),
        Target::Reject(with) => json!({ "reject": with.as_str() }),
        Target::Jump(chain) => json!({ "jump": chain.as_str() }),
        Target::Redirect(port) => json!({ "redirect": port.get() }),
        Target::Tproxy { port, mark: value } => {
            json!({ "tproxy": { "port": port.get(), "mark": mark(*value) } })
        }
        Target::SetMark(value) => json!({ "set_mark": mark(*value) }),
        Target::SetConnmark(value) => json!({ "set_connmark": mark(*value) }),
        Target::SaveMark => json!("save_mark"),
        Target::RestoreMark => json!("restore_mark"),
        Target::ConntrackZone(zone) => json!({ "conntrack_zone": zone }),
        Target::Log { prefix, level } => json!({ "log": { "prefix": prefix, "level": level } }),
        Target::Opaque(words) => json!({ "opaque": words }),
    }
}

fn mark(mark: Mark) -> Value {
    json!({ "value": mark.value, "mask": mark.mask })
}
