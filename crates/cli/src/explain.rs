//! `explain`: traces a packet through the rules that a pod would get, or through the live rules of
//! a namespace: one line for each rule, then where the packet ends.

pub(crate) mod report;

use std::path::Path;

use mesh_cni_netfilter::value::InterfaceName;
use mesh_cni_netfilter::walk::{Direction, NetnsAddresses, Outcome, Walk, walk, walk_in};
use mesh_cni_netfilter::{Packet, RuleSet};
use mesh_cni_rules::chains::REJECT_IPV6;
use mesh_cni_rules::{Mesh, meshes_in, port_names, proxy_sender};

use crate::arguments::{ExplainArguments, Output, PodName};
use crate::case::{Case, Cases};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};
use crate::live;
use report::Document;

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
    let mut documents = Vec::new();
    let exit = match (
        &arguments.whose.pod,
        arguments.whose.namespace(&arguments.proc.proc_dir),
    ) {
        (Some(pod), _) => {
            let cases = Cases::read(pod, &arguments.conf, console)?;
            let has_headings = cases.are_several && arguments.output == Output::Text;
            cases.each(console, |case, console| {
                let rules = Rules::of_pod(&case, console)?;
                if has_headings {
                    console.line(format_args!("# pod {}", case.pod()))?;
                }
                trace(&rules, &packets, arguments, &mut documents, console)
            })?
        }
        (None, Some(_)) if arguments.conf.conf.is_some() => {
            let error = "--conf requires --pod: live rules depend on no configuration";
            return Err(Failure::wrong(error).hint("remove --conf"));
        }
        (None, Some(path)) => {
            arguments.conf.without_cluster()?;
            let rules = Rules::of_namespace(&path)?;
            trace(&rules, &packets, arguments, &mut documents, console)?
        }
        (None, None) => {
            let error = "one of --pod, --netns and --pid is required";
            return Err(Failure::wrong(error));
        }
    };
    if arguments.output == Output::Json {
        console.result(&json(&documents))?;
    }
    Ok(exit)
}

/// Prints the walks of the packets through these rules, or collects their documents.
fn trace(
    rules: &Rules,
    packets: &[Packet],
    arguments: &ExplainArguments,
    documents: &mut Vec<Document>,
    console: &mut Console<'_>,
) -> Result<Exit, Failure> {
    let walks: Vec<_> = packets
        .iter()
        .map(|packet| rules.walk(packet, console))
        .collect();
    match arguments.output {
        Output::Text => {
            for assumption in packets.iter().flat_map(|packet| rules.assumptions(packet)) {
                console.note(assumption);
            }
            report::text(&walks, port_names(rules.mesh), arguments.matched, console)?;
        }
        Output::Json => documents.extend(walks.iter().map(|walk| {
            let assumptions = rules.assumptions(&walk.packet);
            let (pod, ports) = (rules.pod.as_ref(), port_names(rules.mesh));
            Document::new(pod, walk, ports, assumptions, arguments.matched)
        })),
    }
    let lost = walks
        .iter()
        .any(|walk| matches!(walk.outcome, Outcome::Undecided { .. }));
    Ok(if lost { Exit::No } else { Exit::Done })
}

/// The rules of each family, and the addresses of the namespace if they are known.
struct Rules {
    /// The pod that would get them.
    pod: Option<PodName>,
    /// The mesh that the rules are of; Istio if there are none.
    mesh: Mesh,
    rule_sets: Vec<RuleSet>,
    interfaces: Option<NetnsAddresses>,
}

impl Rules {
    fn of_namespace(path: &Path) -> Result<Self, Failure> {
        let live = live::state(&live::open(path)?)?;
        let mesh = live.rule_sets.iter().flat_map(meshes_in).next();
        Ok(Self {
            pod: None,
            mesh: mesh.unwrap_or(Mesh::Istio),
            rule_sets: live.rule_sets,
            interfaces: Some(live.interfaces),
        })
    }

    fn of_pod(case: &Case, console: &mut Console<'_>) -> Result<Self, Failure> {
        let redirection = case.redirection(console)?;
        let mesh = redirection.as_ref().map(|it| it.interception.mesh());
        let rule_sets = redirection.map(|redirection| redirection.rule_sets);
        let addresses = &case.facts.addresses;
        Ok(Self {
            pod: Some(PodName {
                namespace: case.facts.namespace.clone(),
                name: case.facts.name.clone(),
            }),
            mesh: mesh.unwrap_or(Mesh::Istio),
            rule_sets: rule_sets.unwrap_or_default(),
            interfaces: (!addresses.is_empty()).then(|| NetnsAddresses::pod(addresses)),
        })
    }

    /// What the walk of a packet assumes, because neither the packet nor the pod says it.
    fn assumptions(&self, packet: &Packet) -> Vec<String> {
        let Direction::Out { owner, .. } = packet.direction else {
            return Vec::new();
        };
        let mut assumed = Vec::new();
        let sender = match self.mesh {
            Mesh::Istio | Mesh::Linkerd | Mesh::Kuma => owner.is_none().then_some("uid"),
            Mesh::Ambient => (packet.mark == 0).then_some("mark"),
        };
        if let Some(word) = sender {
            assumed.push(format!(
                "`{packet}` has no `{word}`: assuming a sender that no rule names, such as the \
                 application; add `{}` for the proxy",
                proxy_sender(self.mesh)
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
