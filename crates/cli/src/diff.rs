//! `diff`: which pods a changed configuration would decide or program differently, and how.

mod compare;
pub(crate) mod report;

use mesh_cni_kube::list::Selector;
use mesh_cni_kube::pod::Pod;
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;

use crate::arguments::{DiffArguments, Output};
use crate::cluster::{self, Cluster, access};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};
use crate::{input, node_conf};
use compare::Comparison;
use report::Document;

/// Prints the groups of pods with the same change; exit code 1 if there are any, or if the answer is not
/// known for a pod.
pub(crate) fn run(arguments: &DiffArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    input::check_stdin([
        ("--conf", Some(&arguments.conf)),
        ("--pods", arguments.pods.as_deref()),
    ])?;
    let new = input::conf(&arguments.conf, console)?;
    let old = old_conf(arguments, console)?;
    let (pods, mut exit) = pods(arguments, console)?;
    let comparison = Comparison::new(&pods, &old, &new);
    if !comparison.is_equal() {
        exit = exit.max(Exit::No);
    }
    let text = match arguments.output {
        Output::Text => report::text(&comparison, arguments.verbose),
        Output::Json => json(&Document::new(&comparison)),
    };
    console.result(&text)?;
    Ok(exit)
}

fn old_conf(arguments: &DiffArguments, console: &mut Console<'_>) -> Result<MeshConf, Failure> {
    match &arguments.conf_old {
        Some(path) => input::conf(path, console),
        None => node_conf::of_directory(&arguments.cni_conf_dir, console),
    }
}

/// The pods, and the exit code for those that cannot be read.
fn pods(
    arguments: &DiffArguments,
    console: &mut Console<'_>,
) -> Result<(Vec<PodFacts>, Exit), Failure> {
    let Some(path) = &arguments.pods else {
        return of_cluster(arguments, console);
    };
    let mut exit = Exit::Done;
    let mut pods = Vec::new();
    for pod in input::all_facts(path)? {
        match pod {
            Ok(facts) => pods.push(facts),
            Err(failure) => {
                exit = exit.max(failure.exit());
                failure.print(console);
            }
        }
    }
    Ok((pods, exit))
}

fn of_cluster(
    arguments: &DiffArguments,
    console: &mut Console<'_>,
) -> Result<(Vec<PodFacts>, Exit), Failure> {
    let path = match &arguments.namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".to_owned(),
    };
    let listed = cluster::run(async {
        let cluster = Cluster::connect(&arguments.cluster).await?;
        let selector = Selector::default();
        let listed = cluster.list::<Pod>(&path, selector).await;
        listed.map_err(|error| access::request_failure(error, "pods"))
    })?;
    let mut exit = Exit::Done;
    let mut pods = Vec::new();
    for reason in listed.unreadable {
        exit = Exit::Failed;
        console.warn(reason);
    }
    for pod in listed.objects {
        match pod.facts {
            Ok(facts) => pods.push(facts),
            Err(error) => {
                exit = Exit::Failed;
                console.warn(format_args!(
                    "pod {}/{}: {error}",
                    pod.name.namespace, pod.name.name
                ));
            }
        }
    }
    Ok((pods, exit))
}
