//! `verify`: compares the live rules of a pod with the rules that it should have.

mod all;
mod compare;
mod place;
mod remote;
pub(crate) mod report;
mod wanted;

use std::error::Error;
use std::net::IpAddr;
use std::path::Path;

use mesh_cni_netns::has_ipv6;
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;

use crate::arguments::{Output, Place, PodName, VerifyArguments};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};
use crate::named_pod::Lookup;
use crate::pod_source::{PodSource, SourceError};
use crate::{input, live, node_conf};
use compare::Comparison;
use place::{Found, Machine};
use report::Report;
use wanted::WantedError;

const GIVE_MANIFEST: &str =
    "pass the pod's manifest: kubectl get pod NAME -o yaml | mesh-cnictl verify … --manifest -";

/// Prints the verdict and the live rules; exit code 1 if they are not as wanted.
pub(crate) fn run(arguments: &VerifyArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    input::check_stdin([
        ("--manifest", arguments.manifest.as_deref()),
        ("--conf", arguments.conf.conf.as_deref()),
    ])?;
    match &arguments.place.pod {
        Some(pod) if is_elsewhere(arguments) => return remote::run(pod, arguments, console),
        Some(_) => {}
        None => arguments.conf.without_cluster()?,
    }
    let conf = console.with_messages_later(|console| node_conf::read(&arguments.conf, console));
    let conf = conf?.on_kernel(has_ipv6);
    if arguments.place.all {
        return all::run(arguments, &conf, console);
    }
    let manifest = arguments
        .manifest
        .as_deref()
        .map(input::facts)
        .transpose()?;
    let Subject { found, facts } = subject(arguments, manifest, &conf)?;
    let live = live::state(&found.netns)?;
    let compared = facts.and_then(|facts| compare(&facts, &conf, &live));
    let report = Report {
        found: &found,
        live: &live,
        compared: compared.as_ref(),
    };
    match arguments.output {
        Output::Text => report.text(arguments.quiet, console)?,
        Output::Json => {
            console.result(&json(&report.document()))?;
            report.print_failure(console);
        }
    }
    Ok(compared.map_or_else(|failure| failure.exit(), |compared| compared.exit()))
}

/// Whether the named pod is not one of this machine.
fn is_elsewhere(arguments: &VerifyArguments) -> bool {
    let has_files = arguments.manifest.is_some() || arguments.conf.conf.is_some();
    arguments.conf.cluster.is_given()
        || !has_files && Lookup::of(&arguments.conf, None) == Lookup::Cluster
}

/// A namespace, and the facts of its pod, or why they are not known.
struct Subject {
    found: Found,
    facts: Result<PodFacts, Failure>,
}

fn subject(
    arguments: &VerifyArguments,
    manifest: Option<PodFacts>,
    conf: &MeshConf,
) -> Result<Subject, Failure> {
    let place = &arguments.place;
    let (proc, cache) = (&arguments.proc.proc_dir, &arguments.cni_cache_dir);
    let source = PodSource::of(conf);
    if let Some(pod) = &place.pod {
        let facts = match manifest {
            Some(facts) => of_that_name(facts, pod)?,
            None => source.by_name(pod).map_err(unknown)?,
        };
        let found = place::of_pod(&pod.to_string(), &facts, &Machine::read(proc, cache)?)?;
        return Ok(Subject {
            found,
            facts: Ok(facts),
        });
    }
    let found = find(place, proc, cache)?;
    let facts = match (manifest, &found.uid) {
        (Some(facts), Some(uid)) if !facts.is_of(uid) => return Err(other_pod(&facts, uid)),
        (Some(facts), _) => Ok(facts),
        (None, Some(uid)) => source.by_uid(uid).map_err(unknown),
        (None, None) => Err(unknown_pod()),
    };
    Ok(Subject { found, facts })
}

fn find(place: &Place, proc: &Path, cache: &Path) -> Result<Found, Failure> {
    match (&place.netns, place.pid, &place.container) {
        (Some(path), _, _) => place::at(path, proc),
        (_, Some(pid), _) => place::of_process(pid, proc),
        (_, _, Some(id)) => place::of_container(id, &Machine::read(proc, cache)?),
        _ => Err(Failure::wrong(
            "one of --netns, --pid, --container, --pod and --all is required",
        )),
    }
}

/// Only the plugin received the addresses in the runtime's order, which decides about the families,
/// so rules for either order are as wanted.
fn compare(facts: &PodFacts, conf: &MeshConf, live: &live::Live) -> Result<Comparison, Failure> {
    let pod = format!("{}/{}", facts.namespace, facts.name);
    let mut ipv6_first = live.addresses.clone();
    ipv6_first.sort_by_key(IpAddr::is_ipv4);
    let mut likely = None;
    for addresses in [&live.addresses, &ipv6_first] {
        let all = wanted::wanted(facts, conf, &live.rule_sets, addresses)
            .map_err(|error| unknown_rules(error, &pod))?;
        for wanted in all {
            let comparison = Comparison::new(facts, wanted, live);
            if comparison.differences.is_empty() {
                return Ok(comparison);
            }
            likely.get_or_insert(comparison);
        }
    }
    likely.ok_or_else(|| Failure::environment("there is nothing to compare with").about(pod))
}

fn unknown_rules(error: WantedError, pod: &str) -> Failure {
    let about = format!("pod {pod}");
    match error {
        WantedError::Plan(error) => Failure::wrong(error)
            .about(about)
            .hint("the plugin rejects this pod, or the manifest is not that of the running pod"),
        WantedError::OwnInit(error) => {
            let hint = format!(
                "nothing was compared: verify reads the pod's manifest, not the container's files; \
                 compare the rules below with `kubectl logs POD -c {}`",
                error.name
            );
            Failure::environment(error).about(about).hint(hint)
        }
    }
}

fn unknown(error: SourceError) -> Failure {
    match error {
        SourceError::NoPod { .. } => error.failure(),
        _ => nothing_to_compare(error),
    }
}

/// The namespace has no process whose control group names a pod.
fn unknown_pod() -> Failure {
    nothing_to_compare("cannot determine the pod from its processes")
}

fn nothing_to_compare(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::environment(error)
        .about("nothing to compare with")
        .hint(GIVE_MANIFEST)
}

fn of_that_name(facts: PodFacts, pod: &PodName) -> Result<PodFacts, Failure> {
    if (&facts.namespace, &facts.name) == (&pod.namespace, &pod.name) {
        return Ok(facts);
    }
    let found = format!("{}/{}", facts.namespace, facts.name);
    let error = format!("--manifest contains pod {found}, but --pod is {pod}");
    Err(Failure::wrong(error).hint("remove one of them"))
}

fn other_pod(facts: &PodFacts, uid: &str) -> Failure {
    let (namespace, name) = (&facts.namespace, &facts.name);
    let own = facts.uid.as_deref().unwrap_or("none");
    let error = format!(
        "--manifest contains pod {namespace}/{name} with UID {own}, but the process belongs to the \
         pod with UID {uid}"
    );
    Failure::wrong(error).hint("a pod that was recreated with the same name has another UID")
}
