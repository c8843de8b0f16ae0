//! `explain`: traces a packet through the rules that a pod would get, or through the live rules of
//! a namespace: one line for each rule, then where the packet ends.

mod report;

use std::path::Path;

use mesh_cni_netfilter::walk::{Fate, Host, Walk, walk, walk_on};
use mesh_cni_netfilter::{Packet, RuleSet};
use mesh_cni_plan::{Plan, plan};

use crate::arguments::{ExplainArguments, Output, Subject};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::input::Case;
use crate::live;
use crate::render::refuse;

/// Prints a walk for each packet; exit code 1 if one could not be traced to its end.
pub(crate) fn run(
    arguments: &ExplainArguments,
    console: &mut Console<'_>,
) -> Result<Exit, Failure> {
    let packets = arguments.packet.iter().map(|text| packet(text));
    let packets = packets.collect::<Result<Vec<_>, _>>()?;
    let rules = rules(arguments, console)?;
    let walks: Vec<_> = packets
        .iter()
        .map(|packet| rules.walk(packet, console))
        .collect();
    match arguments.output {
        Output::Text => report::text(&walks, console)?,
        Output::Json => console.result(&report::json(&walks))?,
    }
    let lost = walks
        .iter()
        .any(|walk| matches!(walk.fate, Fate::Undecided { .. }));
    Ok(if lost { Exit::No } else { Exit::Done })
}

/// The rules of each family, and the addresses of the namespace if they are known.
struct Rules {
    rule_sets: Vec<RuleSet>,
    host: Option<Host>,
}

impl Rules {
    fn walk(&self, packet: &Packet, console: &mut Console<'_>) -> Walk {
        let family = packet.family();
        let mut sets = self.rule_sets.iter();
        let none = RuleSet::new(family);
        let rules = sets
            .find(|rules| rules.family == family)
            .unwrap_or_else(|| {
                // The note for a pod without any rules is printed already.
                if !self.rule_sets.is_empty() {
                    console.note(format_args!("{packet}: there are no {family} rules"));
                }
                &none
            });
        match &self.host {
            Some(host) => walk_on(rules, packet, host),
            None => walk(rules, packet),
        }
    }
}

fn packet(text: &str) -> Result<Packet, Failure> {
    Packet::parse(text).map_err(|error| {
        let position = error.position;
        Failure::wrong(error)
            .about("--packet")
            .showing(text, position)
            .hint("for example `out tcp 10.0.0.7:9080 uid 1000` or `in tcp 10.244.1.17:9080 from 10.0.0.9`")
    })
}

fn rules(arguments: &ExplainArguments, console: &mut Console<'_>) -> Result<Rules, Failure> {
    match (&arguments.whose.pod, arguments.whose.namespace()) {
        (Some(pod), _) => {
            let subject = Subject {
                pod: pod.clone(),
                conf: arguments.conf.clone(),
            };
            of_manifest(&subject, console)
        }
        (None, Some(path)) => of_namespace(&path),
        (None, None) => Err(Failure::wrong(
            "one of --pod, --netns and --pid is required",
        )),
    }
}

fn of_namespace(path: &Path) -> Result<Rules, Failure> {
    let live = live::look(&live::open(path)?)?;
    Ok(Rules {
        rule_sets: live.rule_sets,
        host: Some(live.host),
    })
}

fn of_manifest(subject: &Subject, console: &mut Console<'_>) -> Result<Rules, Failure> {
    let case = Case::read(subject, console)?;
    let planned = plan(&case.facts, &case.conf, &case.facts.addresses);
    let rule_sets = match planned.map_err(|error| refuse(&case, error))? {
        Plan::Redirect(redirection) => {
            for warning in &redirection.warnings {
                console.warn(warning);
            }
            redirection.rule_sets
        }
        Plan::Skip(reason) => {
            console.note(format_args!("{} gets no rules: {reason}", case.pod()));
            Vec::new()
        }
    };
    let host = (!case.facts.addresses.is_empty()).then(|| Host::pod(&case.facts.addresses));
    Ok(Rules { rule_sets, host })
}
