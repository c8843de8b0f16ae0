//! `verify --all`: every pod of the node that has a network namespace of its own.

use std::collections::BTreeMap;

use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;

use super::compare::Comparison;
use super::place::{self, Found, Machine};
use super::report::{self, Document, Report};
use super::{compare, unknown};
use crate::arguments::{Output, VerifyArguments};
use crate::console::{Console, WARN, json};
use crate::failure::{Exit, Failure};
use crate::live::{self, Live};
use crate::pod_source::PodSource;

/// A pod, and the result of its comparison.
struct Verified {
    uid: String,
    facts: Option<PodFacts>,
    result: Result<(Found, Live, Comparison), Failure>,
}

/// Prints a line for each pod, then the details of those that are not as wanted; the exit code is the
/// highest of all.
pub(super) fn run(
    arguments: &VerifyArguments,
    conf: &MeshConf,
    console: &mut Console<'_>,
) -> Result<Exit, Failure> {
    let machine = Machine::read(&arguments.proc.proc_dir, &arguments.cni_cache_dir)?;
    let source = PodSource::of(conf);
    // Sorted by name; a static pod has two UIDs.
    let mut pods = BTreeMap::new();
    for uid in machine.pod_uids() {
        let facts = match source.by_uid(uid) {
            Ok(facts) => facts,
            Err(error) if error.is_about_pod() => {
                if machine.has_process(uid) {
                    let result = Err(unknown(error));
                    pods.insert(uid.to_owned(), Verified::new(uid, None, result));
                }
                continue;
            }
            Err(error) => return Err(unknown(error)),
        };
        let pod = format!("{}/{}", facts.namespace, facts.name);
        if facts.host_network || pods.contains_key(&pod) {
            continue;
        }
        let result = verify(&pod, &facts, conf, &machine);
        // A sandbox that has ended can remain in the cache.
        if result.is_ok() || machine.has_process(uid) {
            pods.insert(pod, Verified::new(uid, Some(facts), result));
        }
    }
    let pods: Vec<_> = pods.into_values().collect();
    match arguments.output {
        Output::Text => print(&pods, arguments.quiet, console)?,
        Output::Json => {
            let documents: Vec<_> = pods.iter().map(Verified::document).collect();
            console.result(&json(&documents))?;
        }
    }
    let exits = pods.iter().map(Verified::exit);
    Ok(exits.max().unwrap_or(Exit::Done))
}

fn verify(
    pod: &str,
    facts: &PodFacts,
    conf: &MeshConf,
    machine: &Machine,
) -> Result<(Found, Live, Comparison), Failure> {
    let found = place::of_pod(pod, facts, machine)?;
    let live = live::state(&found.netns)?;
    let comparison = compare(facts, conf, &live)?;
    Ok((found, live, comparison))
}

fn print(pods: &[Verified], quiet: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    for pod in pods {
        console.line(pod.line())?;
    }
    let differing = pods.iter().filter_map(|pod| pod.result.as_ref().ok());
    let differing: Vec<_> = differing
        .map(|(_, _, comparison)| comparison)
        .filter(|comparison| !comparison.is_as_wanted())
        .collect();
    let not_compared = pods.iter().filter(|pod| pod.result.is_err()).count();
    console.note(format_args!(
        "{} pods: {} as wanted, {} not as wanted, {not_compared} not compared",
        pods.len(),
        pods.len() - differing.len() - not_compared,
        differing.len(),
    ));
    if !quiet {
        for comparison in differing {
            report::verdict(comparison, console);
        }
    }
    Ok(())
}

impl Verified {
    fn new(
        uid: &str,
        facts: Option<PodFacts>,
        result: Result<(Found, Live, Comparison), Failure>,
    ) -> Self {
        Self {
            uid: uid.to_owned(),
            facts,
            result,
        }
    }

    fn line(&self) -> String {
        match &self.result {
            Ok((_, _, comparison)) => report::line(comparison),
            Err(failure) => {
                let pod = match &self.facts {
                    Some(facts) => format!("{}/{}", facts.namespace, facts.name),
                    None => format!("the pod with UID {}", self.uid),
                };
                format!("{WARN}not compared:{WARN:#} {pod}: {}", failure.message())
            }
        }
    }

    fn exit(&self) -> Exit {
        match &self.result {
            Ok((_, _, comparison)) => comparison.exit(),
            Err(_) => Exit::Failed,
        }
    }

    fn document(&self) -> Document {
        match &self.result {
            Ok((found, live, comparison)) => Report {
                found,
                live,
                compared: Ok(comparison),
            }
            .document(),
            Err(failure) => Document::not_compared(&self.uid, self.facts.as_ref(), failure),
        }
    }
}
