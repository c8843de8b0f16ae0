//! `pods`: every pod of the cluster, with the plugin's decision and whether its rules are applied.

mod answers;
pub(crate) mod document;
mod list;
mod row;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use mesh_cni_kube::list::Selector;
use mesh_cni_selector::is_dns_subdomain;

pub(crate) use answers::Answers;
use document::{Printer, Tail};
use list::NodeName;
pub(crate) use list::{ClusterPod, Namespaces};
pub(crate) use row::Row;

use crate::arguments::Output;
use crate::cluster::agents::AgentArguments;
use crate::cluster::{self, Cluster, ClusterArguments};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::input;

/// How many nodes are named whose agents do not answer.
const NAMED_NODES: usize = 5;

#[derive(Debug, Args)]
pub(crate) struct PodsArguments {
    /// List the pods of every namespace: the default
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// List only the pods of this namespace
    #[arg(
        short,
        long,
        value_name = "NAMESPACE",
        conflicts_with = "all_namespaces"
    )]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// The plugin's configuration: its entry, or a network configuration list with it; `-` reads stdin
    /// [default: the entry in the chart's `ConfigMap`]
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) agents: AgentArguments,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Which pods are printed; every pod by default.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filter {
    /// Print only the pods of this node
    #[arg(long, value_name = "NODE", value_parser = object_name)]
    pub(crate) node: Option<String>,
    /// Print only pods with this decision; may be repeated
    #[arg(long, value_parser = ["redirect", "enrol", "skip", "refuse", "unknown"])]
    pub(crate) decision: Vec<String>,
    /// Print only pods whose rules are in this state; may be repeated
    #[arg(long, value_parser = ["yes", "no", "drifted", "unknown"])]
    pub(crate) rules: Vec<String>,
    /// Print only pods of this mesh: a name of `profile`, such as `asm` or `ambient`, or `none`
    #[arg(long, value_name = "MESH")]
    pub(crate) mesh: Option<String>,
}

/// Prints every pod, in the order of the API server, page by page.
pub(crate) fn run(arguments: &PodsArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let given = arguments.conf.as_deref();
    let given = given.map(|path| input::conf(path, console)).transpose()?;
    let tail = cluster::run(async {
        let cluster = Cluster::connect(&arguments.cluster).await?;
        let namespace = &arguments.agents.agent_namespace;
        let conf = cluster.given_or_installed_conf(given, namespace, console);
        let conf = conf.await;
        let answers = answers(&cluster, arguments, console).await?;
        let namespaces = Namespaces::read(&cluster, [&conf]).await;
        if let Some(error) = &namespaces.error {
            console.warn(error);
        }
        let mut printer = Printer::new(arguments.output);
        let mut unreadable = Vec::new();
        let mut written = Ok(());
        let path = path(arguments);
        let fields = arguments.filter.node.as_deref().map(of_node);
        let selector = Selector {
            fields: fields.as_deref(),
            labels: None,
        };
        let on_pod = |pod: Result<ClusterPod, String>| match pod {
            Ok(pod) if pod.has_ended() => {}
            Ok(pod) => {
                let row = Row::new(&namespaces.complete(pod), &conf, &answers);
                if arguments.filter.matches(&row) && written.is_ok() {
                    written = printer.row(row, console);
                }
            }
            Err(why) => unreadable.push(why),
        };
        cluster
            .each_object(&path, selector, on_pod)
            .await
            .map_err(|error| cluster::request_failure(error, "pods"))?;
        written?;
        let tail = Tail::new(printer.count(), &answers, unreadable);
        printer.finish(&tail, console)?;
        Ok(tail)
    })?;
    for why in &tail.unreadable {
        console.warn(format_args!("pod {why}"));
    }
    for node in tail.unanswered.iter().take(NAMED_NODES) {
        console.warn(format_args!("node {}: {}", node.node, node.reason));
    }
    if tail.unanswered.len() > NAMED_NODES {
        let more = tail.unanswered.len() - NAMED_NODES;
        console.warn(format_args!(
            "{more} more nodes have no answer: see --output json"
        ));
    }
    Ok(Exit::Done)
}

/// What the agents of the nodes with these pods know.
async fn answers(
    cluster: &Cluster,
    arguments: &PodsArguments,
    console: &mut Console<'_>,
) -> Result<Answers, Failure> {
    let agents = match cluster.agents(&arguments.agents).await {
        Ok(agents) => agents,
        Err(failure) => {
            console.warn(failure.message());
            return Ok(Answers::default());
        }
    };
    let by_node = agents.by_node();
    let nodes = match (&arguments.filter.node, &arguments.namespace) {
        (Some(node), _) => Some(BTreeSet::from([node.clone()])),
        (None, Some(_)) => Some(NodeName::of_pods(cluster, &path(arguments)).await?),
        (None, None) => None,
    };
    let is_needed = |node: &str| nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
    let agents = by_node.into_iter().filter(|(node, _)| is_needed(node));
    let agents: Vec<_> = agents.map(|(_, agent)| agent).collect();
    let namespace = arguments.namespace.as_deref();
    Ok(Answers::request(cluster, &agents, namespace).await)
}

fn path(arguments: &PodsArguments) -> String {
    match &arguments.namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".to_owned(),
    }
}

/// The name of an object. It becomes a part of a path or of a selector.
pub(crate) fn object_name(text: &str) -> Result<String, &'static str> {
    let is_name = is_dns_subdomain(text);
    is_name
        .then(|| text.to_owned())
        .ok_or("it is not a name of Kubernetes")
}

fn of_node(node: &str) -> String {
    format!("spec.nodeName={node}")
}

impl Filter {
    fn matches(&self, row: &Row) -> bool {
        let any = |wanted: &[String], found: &str| {
            wanted.is_empty() || wanted.iter().any(|each| each == found)
        };
        any(&self.decision, row.decision.as_str())
            && any(&self.rules, row.rules.as_str())
            && self
                .node
                .as_ref()
                .is_none_or(|node| row.node.as_ref() == Some(node))
            && self
                .mesh
                .as_ref()
                .is_none_or(|mesh| mesh == row.mesh.unwrap_or("none"))
    }
}
