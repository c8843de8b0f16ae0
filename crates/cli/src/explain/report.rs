//! Prints walks as text, with the deciding rules in bold, and as JSON.

use std::io;

use mesh_cni_netfilter::walk::{Event, Outcome, Pass, RuleResult, Step, Walk};
use mesh_cni_rules::PORT_NAMES;
use serde_json::{Value, json};

use crate::console::{self, BOLD, Console, DIM, Styled, WARN};

pub(super) fn text(walks: &[Walk], matched: bool, console: &mut Console<'_>) -> io::Result<()> {
    for (walk, number) in walks.iter().zip(0..) {
        if number > 0 {
            console.line("")?;
        }
        let text = if matched {
            walk.display_matched(PORT_NAMES).to_string()
        } else {
            walk.display(PORT_NAMES).to_string()
        };
        for line in text.lines() {
            console.line(Styled(style(line, walk), line))?;
        }
    }
    Ok(())
}

/// Bold for the rules that matched and the outcome.
fn style(line: &str, walk: &Walk) -> anstyle::Style {
    let is_end = line == walk.outcome.display(PORT_NAMES).to_string();
    match line.starts_with("  ") {
        _ if is_end => BOLD,
        true if line.contains("  yes: ") => BOLD,
        true if line.contains("  unknown: ") => WARN,
        true => DIM,
        false => anstyle::Style::new(),
    }
}

/// One document for each walk, with what it assumes.
pub(super) fn json<'walk>(
    walks: impl Iterator<Item = (&'walk Walk, Vec<String>)>,
    matched: bool,
) -> String {
    let documents = walks.map(|(walk, assumed)| document(walk, &assumed, matched));
    console::json(&documents.collect::<Vec<_>>())
}

fn document(walk: &Walk, assumed: &[String], matched: bool) -> Value {
    let steps = walk
        .steps
        .iter()
        .filter(|step| !matched || step.is_matched());
    json!({
        "packet": walk.packet.to_string(),
        "assumed": assumed,
        "steps": steps.map(step).collect::<Vec<_>>(),
        "fate": fate(&walk.outcome),
        "end": walk.outcome.display(PORT_NAMES).to_string(),
    })
}

fn step(step: &Step) -> Value {
    let matched = match &step.event {
        Event::Rule { result, .. } => match result {
            RuleResult::Matched(_) => json!(true),
            RuleResult::NotMatched(_) => json!(false),
            _ => Value::Null,
        },
        _ => Value::Null,
    };
    let number = match &step.event {
        Event::Rule { number, .. } => json!(number),
        _ => Value::Null,
    };
    json!({
        "pass": match step.pass { Pass::First => "first", Pass::Loopback => "loopback" },
        "table": step.table.as_str(),
        "chain": step.chain.as_str(),
        "number": number,
        "rule": step.rule(),
        "matched": matched,
        "outcome": step.result(),
    })
}

fn fate(fate: &Outcome) -> Value {
    match fate {
        Outcome::Redirected { port, original, .. } => {
            json!({ "redirected": { "port": port.get(), "original": original.to_string() } })
        }
        Outcome::Tproxied {
            port,
            source,
            destination,
            original,
        } => json!({ "tproxied": {
            "port": port.get(),
            "source": source.to_string(),
            "destination": destination.to_string(),
            "original": original.to_string(),
        } }),
        Outcome::NotRedirected { to, .. } => json!({ "as_addressed": { "to": to.to_string() } }),
        Outcome::Dropped { table, chain, rule } => json!({ "dropped": {
            "table": table.as_str(), "chain": chain.as_str(), "rule": rule,
        } }),
        Outcome::Rejected {
            table,
            chain,
            rule,
            with,
        } => json!({ "rejected": {
            "table": table.as_str(), "chain": chain.as_str(), "rule": rule, "with": with.as_str(),
        } }),
        Outcome::Undecided {
            table, chain, rule, ..
        } => json!({ "undecided": {
            "table": table.as_str(), "chain": chain.as_str(), "rule": rule,
        } }),
        _ => Value::Null,
    }
}
