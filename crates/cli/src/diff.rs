//! `diff`: which pods a changed configuration, or another release, would decide or program differently, and
//! how.

mod compare;
pub(crate) mod report;

use mesh_cni_kube::list::Selector;
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;

use crate::arguments::{DiffArguments, Output};
use crate::cluster::conf::CONFIG_MAP;
use crate::cluster::{self, Cluster, access};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};
use crate::pods::{ClusterPod, Namespaces};
use crate::{effect, input, node_conf};
use compare::{Comparison, Old};
use report::Document;

/// The pods to compare, and the configuration that is installed where they are.
struct Found {
    pods: Vec<PodFacts>,
    /// The exit code for pods that cannot be read.
    exit: Exit,
    installed: Option<MeshConf>,
}

/// Prints the groups of pods with the same change; exit code 1 if there are any, or if the answer is not
/// known for a pod.
pub(crate) fn run(arguments: &DiffArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    input::check_stdin([
        ("--conf", arguments.conf.as_deref()),
        ("--conf-old", arguments.conf_old.as_deref()),
        ("--rules-old", arguments.rules_old.as_deref()),
        ("--pods", arguments.pods.as_deref()),
    ])?;
    let new = arguments.conf.as_deref();
    let new = new.map(|path| input::conf(path, console)).transpose()?;
    let old = old(arguments, console)?;
    let Found {
        pods,
        mut exit,
        installed,
    } = find(arguments, new.as_ref(), old.as_ref(), console)?;
    let installed = installed.unwrap_or_default();
    let old = old.unwrap_or_else(|| Old::Conf(Box::new(installed.clone())));
    let comparison = Comparison::new(&pods, &old, &new.unwrap_or(installed));
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

/// What the new configuration is compared with; none for the installed configuration.
fn old(arguments: &DiffArguments, console: &mut Console<'_>) -> Result<Option<Old>, Failure> {
    if let Some(path) = &arguments.rules_old {
        return Ok(Some(Old::Rules(effect::saved(path)?)));
    }
    let conf = arguments.conf_old.as_deref();
    let conf = conf.map(|path| input::conf(path, console)).transpose()?;
    Ok(conf.map(Box::new).map(Old::Conf))
}

fn find(
    arguments: &DiffArguments,
    new: Option<&MeshConf>,
    old: Option<&Old>,
    console: &mut Console<'_>,
) -> Result<Found, Failure> {
    let needs_installed = new.is_none() || old.is_none();
    let directory = arguments.cni_conf_dir.as_deref();
    let directory = directory.filter(|_| needs_installed);
    let mut installed = directory
        .map(|path| node_conf::of_directory(path, console))
        .transpose()?;
    if let Some(path) = &arguments.pods {
        if needs_installed && installed.is_none() {
            installed = Some(node_conf::of_directory(
                node_conf::DIRECTORY.as_ref(),
                console,
            )?);
        }
        let (pods, exit) = of_file(path, console)?;
        return Ok(Found {
            pods,
            exit,
            installed,
        });
    }
    cluster::run(async {
        let cluster = Cluster::connect(&arguments.cluster).await?;
        if needs_installed && installed.is_none() {
            let namespace = &arguments.agent_namespace;
            installed = Some(installed_conf(&cluster, namespace, console).await?);
        }
        let old = match old {
            Some(Old::Conf(conf)) => Some(&**conf),
            Some(Old::Rules(_)) | None => None,
        };
        let confs = [new, old, installed.as_ref()];
        let namespaces = Namespaces::read(&cluster, confs.into_iter().flatten()).await;
        if let Some(error) = &namespaces.error {
            console.warn(error);
        }
        let (pods, exit) = of_cluster(&cluster, arguments, &namespaces, console).await?;
        Ok(Found {
            pods,
            exit,
            installed,
        })
    })
}

/// The configuration in the chart's `ConfigMap`. Without it nothing is assumed.
async fn installed_conf(
    cluster: &Cluster,
    namespace: &str,
    console: &mut Console<'_>,
) -> Result<MeshConf, Failure> {
    let place = format!("ConfigMap {namespace}/{CONFIG_MAP}");
    match cluster.conf(namespace).await {
        Ok(decoded) => Ok(console.conf(decoded, &place)),
        Err(error) => Err(Failure::environment(error).about(place).hint(
            "set --agent-namespace to the namespace of mesh-cni, or give the configuration to compare \
             with by --conf-old",
        )),
    }
}

fn of_file(
    path: &std::path::Path,
    console: &mut Console<'_>,
) -> Result<(Vec<PodFacts>, Exit), Failure> {
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

/// The pods of the cluster that have not ended, with the labels of their namespaces.
async fn of_cluster(
    cluster: &Cluster,
    arguments: &DiffArguments,
    namespaces: &Namespaces,
    console: &mut Console<'_>,
) -> Result<(Vec<PodFacts>, Exit), Failure> {
    let path = match &arguments.namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".to_owned(),
    };
    let mut pods = Vec::new();
    let mut unreadable = Vec::new();
    let on_pod = |pod: Result<ClusterPod, String>| match pod {
        Ok(pod) if pod.has_ended() => {}
        Ok(pod) => {
            let pod = namespaces.complete(pod).pod;
            match pod.facts {
                Ok(facts) => pods.push(facts),
                Err(error) => unreadable.push(format!("pod {}: {error}", pod.name)),
            }
        }
        Err(reason) => unreadable.push(reason),
    };
    cluster
        .each_object(&path, Selector::default(), on_pod)
        .await
        .map_err(|error| access::request_failure(error, "pods"))?;
    let exit = if unreadable.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    };
    for reason in unreadable {
        console.warn(reason);
    }
    Ok((pods, exit))
}
