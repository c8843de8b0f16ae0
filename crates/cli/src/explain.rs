//! `explain`: traces a packet through the rules that a pod would get, or through the live rules of
//! a namespace: one line for each rule, then where the packet ends.

pub(crate) mod report;

use std::path::Path;

use mesh_cni_netfilter::value::InterfaceName;
use mesh_cni_netfilter::walk::{Direction, NetnsAddresses, Outcome, Walk, walk, walk_in};
use mesh_cni_netfilter::{Packet, RuleSet};
use mesh_cni_rules::chains::REJECT_IPV6;

use crate::arguments::{ExplainArguments, Output, Subject};
use crate::case::Case;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::live;

/// Prints a walk for each packet; exit code 1 if one could not be traced to its end.
pub(crate) fn run(
    arguments: &ExplainArguments,
    console: &mut Console<'_>,
) -> Result<Exit, Failure> {
    let packets: Vec<_> = arguments
        .packet
        .iter()
        .map(|text| packet(text))
        .collect::<Result<_, _>>()?;
    let rules = rules(arguments, console)?;
    let walks: Vec<_> = packets
        .iter()
        .map(|packet| rules.walk(packet, console))
        .collect();
    match arguments.output {
        Output::Text => {
            for assumption in packets.iter().flat_map(|packet| rules.assumptions(packet)) {
                console.note(assumption);
            }
            report::text(&walks, arguments.matched, console)?;
        }
        Output::Json => {
            let walks = walks
                .iter()
                .map(|walk| (walk, rules.assumptions(&walk.packet)));
            console.result(&report::json(walks, arguments.matched))?;
        }
    }
    let lost = walks
        .iter()
        .any(|walk| matches!(walk.outcome, Outcome::Undecided { .. }));
    Ok(if lost { Exit::No } else { Exit::Done })
}

/// The rules of each family, and the addresses of the namespace if they are known.
struct Rules {
    rule_sets: Vec<RuleSet>,
    interfaces: Option<NetnsAddresses>,
}

impl Rules {
    /// What the walk of a packet assumes, because neither the packet nor the pod says it.
    fn assumptions(&self, packet: &Packet) -> Vec<String> {
        let Direction::Out { owner, .. } = packet.direction else {
            return Vec::new();
        };
        let mut assumed = Vec::new();
        if owner.is_none() {
            assumed.push(format!(
                "`{packet}` has no `uid`: assuming a sender that no rule names, such as the \
                 application; add `uid 1337` for the proxy"
            ));
        }
        let destination = packet.destination.ip();
        if self.interfaces.is_none() && !destination.is_loopback() {
            let lo = packet.interface == Some(InterfaceName::loopback());
            let whose = if lo { "the pod's own" } else { "not the pod's" };
            assumed.push(format!(
                "the manifest has no `status.podIPs`: assuming that {destination} is {whose} address"
            ));
        }
        assumed
    }

    fn walk(&self, packet: &Packet, console: &mut Console<'_>) -> Walk {
        let family = packet.family();
        let none = RuleSet::new(family);
        let rules = self
            .rule_sets
            .iter()
            .find(|rules| rules.family == family)
            .unwrap_or_else(|| {
                // The note for a pod without any rules is printed already.
                if !self.rule_sets.is_empty() {
                    console.note(format_args!("{packet}: there are no {family} rules"));
                }
                &none
            });
        let walk = match &self.interfaces {
            Some(interfaces) => walk_in(rules, packet, interfaces),
            None => walk(rules, packet),
        };
        if matches!(&walk.outcome, Outcome::Rejected { chain, .. } if *chain == REJECT_IPV6) {
            console.note(format_args!(
                "{packet}: refused in the pod: IPv6 is rejected"
            ));
        }
        walk
    }
}

fn packet(text: &str) -> Result<Packet, Failure> {
    text.parse::<Packet>().map_err(|error| {
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
    let live = live::state(&live::open(path)?)?;
    Ok(Rules {
        rule_sets: live.rule_sets,
        interfaces: Some(live.interfaces),
    })
}

fn of_manifest(subject: &Subject, console: &mut Console<'_>) -> Result<Rules, Failure> {
    let case = Case::read(subject, console)?;
    let redirection = case.redirection(console)?;
    let rule_sets = redirection.map(|redirection| redirection.rule_sets);
    let interfaces =
        (!case.facts.addresses.is_empty()).then(|| NetnsAddresses::pod(&case.facts.addresses));
    Ok(Rules {
        rule_sets: rule_sets.unwrap_or_default(),
        interfaces,
    })
}
