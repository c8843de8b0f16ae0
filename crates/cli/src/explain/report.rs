//! Prints walks as text, with the deciding rules in bold, and as JSON.

use std::io;

use mesh_cni_netfilter::PortNames;
use mesh_cni_netfilter::ruleset::{ChainName, TableName};
use mesh_cni_netfilter::walk::{Event, Outcome, Pass, RuleResult, Step, Walk};
use serde::Serialize;

use crate::arguments::PodName;
use crate::console::{BOLD, Console, DIM, Styled, WARN};

pub(super) fn text(
    walks: &[Walk],
    ports: PortNames,
    matched: bool,
    console: &mut Console<'_>,
) -> io::Result<()> {
    for (walk, number) in walks.iter().zip(0..) {
        if number > 0 {
            console.line("")?;
        }
        let text = if matched {
            walk.display_matched(ports).to_string()
        } else {
            walk.display(ports).to_string()
        };
        for line in text.lines() {
            console.line(Styled(style(line, walk, ports), line))?;
        }
    }
    Ok(())
}

/// Bold for the rules that matched and the outcome.
fn style(line: &str, walk: &Walk, ports: PortNames) -> anstyle::Style {
    let is_end = line == walk.outcome.display(ports).to_string();
    match line.starts_with("  ") {
        _ if is_end => BOLD,
        true if line.contains("  yes: ") => BOLD,
        true if line.contains("  unknown: ") => WARN,
        true => DIM,
        false => anstyle::Style::new(),
    }
}

/// The walk of one packet.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Document {
    /// The namespace of the pod whose rules these are; null for the live rules of a namespace.
    namespace: Option<String>,
    /// The pod's name.
    name: Option<String>,
    /// The packet, as it was given.
    packet: String,
    /// What the walk assumes, because neither the packet nor the pod says it.
    assumptions: Vec<String>,
    /// The rules that the packet meets, in order.
    steps: Vec<ShownStep>,
    /// Where the packet ends.
    outcome: Option<ShownOutcome>,
    /// The outcome for people.
    summary: String,
}

/// A rule that the packet meets, or the end of a chain.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownStep {
    /// `first`, or `loopback` for a packet that was redirected to the pod itself.
    pass: &'static str,
    /// The table, such as `nat`.
    table: &'static str,
    /// The chain.
    chain: String,
    /// The number of the rule in its chain, from 1; null at the end of a chain.
    number: Option<usize>,
    /// The rule, as options of the iptables command line.
    rule: String,
    /// Whether the rule matches; null if that is not known, and at the end of a chain.
    matched: Option<bool>,
    /// Why, and what happens next.
    result: String,
}

/// Where a packet ends.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum ShownOutcome {
    /// At a port of the proxy, by a redirection.
    Redirected {
        /// The port.
        port: u16,
        /// The address and port that the packet was sent to.
        original: String,
    },
    /// At a port of the proxy, by TPROXY.
    Tproxied {
        /// The port.
        port: u16,
        /// The sender's address.
        source: String,
        /// The receiver's address.
        destination: String,
        /// The address and port that the packet was sent to.
        original: String,
    },
    /// Where it was sent to.
    NotRedirected {
        /// The address and port.
        to: String,
    },
    /// Nowhere: a rule drops it.
    Dropped(Place),
    /// Nowhere: a rule refuses it.
    Rejected {
        #[serde(flatten)]
        place: Place,
        /// The reply to the sender.
        with: &'static str,
    },
    /// Not known: a rule uses a match or target that the simulation does not know.
    Undecided(Place),
}

/// A rule.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Place {
    /// The table.
    table: &'static str,
    /// The chain.
    chain: String,
    /// The number of the rule in its chain, from 1; null for the policy of the chain.
    rule: Option<usize>,
}

impl Place {
    fn new(table: TableName, chain: &ChainName, rule: Option<usize>) -> Self {
        Self {
            table: table.as_str(),
            chain: chain.to_string(),
            rule,
        }
    }
}

impl Document {
    pub(super) fn new(
        pod: Option<&PodName>,
        walk: &Walk,
        ports: PortNames,
        assumptions: Vec<String>,
        matched: bool,
    ) -> Self {
        let steps = walk
            .steps
            .iter()
            .filter(|step| !matched || step.is_matched());
        Self {
            namespace: pod.map(|pod| pod.namespace.clone()),
            name: pod.map(|pod| pod.name.clone()),
            packet: walk.packet.to_string(),
            assumptions,
            steps: steps.map(ShownStep::from).collect(),
            outcome: outcome(&walk.outcome),
            summary: walk.outcome.display(ports).to_string(),
        }
    }
}

impl From<&Step> for ShownStep {
    fn from(step: &Step) -> Self {
        let (number, matched) = match &step.event {
            Event::Rule { number, result, .. } => {
                let matched = match result {
                    RuleResult::Matched(_) => Some(true),
                    RuleResult::NotMatched(_) => Some(false),
                    _ => None,
                };
                (Some(*number), matched)
            }
            _ => (None, None),
        };
        Self {
            pass: match step.pass {
                Pass::First => "first",
                Pass::Loopback => "loopback",
            },
            table: step.table.as_str(),
            chain: step.chain.to_string(),
            number,
            rule: step.rule(),
            matched,
            result: step.result(),
        }
    }
}

fn outcome(outcome: &Outcome) -> Option<ShownOutcome> {
    Some(match outcome {
        Outcome::Redirected { port, original, .. } => ShownOutcome::Redirected {
            port: port.get(),
            original: original.to_string(),
        },
        Outcome::Tproxied {
            port,
            source,
            destination,
            original,
        } => ShownOutcome::Tproxied {
            port: port.get(),
            source: source.to_string(),
            destination: destination.to_string(),
            original: original.to_string(),
        },
        Outcome::NotRedirected { to, .. } => ShownOutcome::NotRedirected { to: to.to_string() },
        Outcome::Dropped { table, chain, rule } => {
            ShownOutcome::Dropped(Place::new(*table, chain, *rule))
        }
        Outcome::Rejected {
            table,
            chain,
            rule,
            with,
        } => ShownOutcome::Rejected {
            place: Place::new(*table, chain, Some(*rule)),
            with: with.as_str(),
        },
        Outcome::Undecided {
            table, chain, rule, ..
        } => ShownOutcome::Undecided(Place::new(*table, chain, Some(*rule))),
        _ => return None,
    })
}
