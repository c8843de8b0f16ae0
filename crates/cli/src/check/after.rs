//! The judgement after the installation: from what is known of a cluster to findings.

mod agents;
mod ambient;
mod node_files;
mod rules;

use std::collections::BTreeSet;

use super::common;
use super::finding::{CheckId, Finding};
use super::groups::{count, grouped};
use super::node::Node;
use super::objects::DaemonSet;
use super::observed::ObservedAfter;

/// The name of the agent's `DaemonSet`, which the plugin's entry names too.
pub(crate) const DAEMON_SET: &str = "mesh-cni-agent";

/// What the message of an Event has before the plugin's own message.
const OWN_ERROR: &str = "plugin type=\"mesh-cni\"";

/// Judges a cluster.
pub(crate) fn judge(observed: &ObservedAfter) -> Vec<Finding> {
    let common = &observed.common;
    let mut findings = vec![common::api_server(common)];
    let Some(daemon_sets) = &common.daemon_sets else {
        findings.extend(common::objects(common));
        return findings;
    };
    let is_ours = |set: &&DaemonSet| set.name == DAEMON_SET && set.namespace == common.namespace;
    let Some(daemon_set) = daemon_sets.iter().find(is_ours) else {
        let text = format!(
            "namespace `{}` has no DaemonSet `{DAEMON_SET}`",
            common.namespace
        );
        findings.push(Finding::failed(CheckId::AgentInstalled, text).hint(
            "install the chart, or give the namespace of the installation with --namespace; \
             `mesh-cnictl check --pre` checks the cluster before",
        ));
        findings.extend(common::objects(common));
        return findings;
    };
    let text = format!("DaemonSet {} is installed", daemon_set.full_name());
    findings.push(Finding::ok(CheckId::AgentInstalled, text));
    let nodes = common.nodes.as_deref();
    let nodes = nodes.map(|nodes| wanted_nodes(nodes, daemon_set));
    if let Some(nodes) = &nodes {
        findings.extend(agents::missing(observed, nodes, daemon_set));
        findings.extend(agents::ready(observed, nodes));
    }
    findings.extend(agents::answers(observed));
    findings.extend(node_files::plugin(observed));
    if let Some(nodes) = &nodes {
        findings.extend(node_files::directories(observed, nodes));
    }
    findings.extend(versions(observed, daemon_set));
    findings.extend(back_ends(observed));
    findings.extend(rules::judge(observed));
    findings.extend(ambient::judge(observed));
    findings.extend(common::pods(
        common,
        ["should be redirected", "would be refused"],
    ));
    findings.extend(refused(observed));
    findings.extend(ipv6(observed));
    findings.extend(nodes.and_then(|nodes| taint(&nodes, daemon_set)));
    findings.extend(common::objects(common));
    findings
}

/// The nodes that the `DaemonSet` selects.
fn wanted_nodes<'a>(nodes: &'a [Node], daemon_set: &DaemonSet) -> Vec<&'a Node> {
    let is_selected = |node: &&Node| {
        let mut labels = daemon_set.node_selector.iter();
        node.is_linux() && labels.all(|(key, value)| node.labels.get(key) == Some(value))
    };
    nodes.iter().filter(is_selected).collect()
}

/// Whether agents and chart have one version.
fn versions(observed: &ObservedAfter, daemon_set: &DaemonSet) -> Vec<Finding> {
    let agents = observed.answers.iter().filter_map(|(node, answer)| {
        let version = answer.as_ref().ok()?.agent.as_ref()?.version.clone();
        Some((version, node))
    });
    let groups = grouped(agents);
    let chart = daemon_set
        .labels
        .get("app.kubernetes.io/version")
        .map(String::as_str);
    let mut findings: Vec<_> = groups
        .iter()
        .filter(|(version, _)| chart.map_or(groups.len() > 1, |chart| chart != version))
        .map(|(version, nodes)| {
            let chart = chart.unwrap_or("unknown");
            let nodes_with = count(nodes.len(), "node");
            let text =
                format!("{nodes_with}: the agent has version {version}, but the chart has {chart}");
            Finding::warning(CheckId::Versions, text)
                .hint(format!(
                    "wait for the update: `kubectl -n {} rollout status daemonset/{DAEMON_SET}`; if it has \
                     ended, the value `tag` selects another version than the chart's",
                    observed.common.namespace
                ))
                .names(nodes.clone())
        })
        .collect();
    if let (true, [(version, _)]) = (findings.is_empty(), groups.as_slice()) {
        let text = format!("every agent has the chart's version, {version}");
        findings.push(Finding::ok(CheckId::Versions, text));
    }
    findings
}

fn back_ends(observed: &ObservedAfter) -> Vec<Finding> {
    let statuses = observed.answers.iter().filter_map(|(node, answer)| {
        let status = answer.as_ref().ok()?.agent.as_ref()?;
        let backend = &status.backend;
        let works = backend.name.clone().ok_or_else(|| backend.detail.clone());
        Some((works, node))
    });
    grouped(statuses)
        .into_iter()
        .map(|(backend, nodes)| {
            let number = count(nodes.len(), "node");
            match backend {
                Ok(name) => Finding::ok(CheckId::BackEnd, format!("{number}: {name} works")),
                Err(detail) => Finding::failed(
                    CheckId::BackEnd,
                    format!("{number}: no back end works: {detail}"),
                )
                .hint("load the kernel's nf_tables modules, or install iptables on the node"),
            }
            .names(nodes)
        })
        .collect()
}

/// Pods that do not start because the plugin returned an error, with the message of the Event.
fn refused(observed: &ObservedAfter) -> Vec<Finding> {
    let pending = observed.common.pods.as_ref().map(|pods| &pods.pending);
    let events = observed.events.iter().flatten();
    let errors: BTreeSet<_> = events
        .filter_map(|event| {
            let (_, message) = event.message.split_once(OWN_ERROR)?;
            let pod = pending?.get(&event.uid)?;
            let message = message.strip_prefix(" failed (add): ").unwrap_or(message);
            Some((message.trim().to_owned(), pod.clone()))
        })
        .collect();
    grouped(errors)
        .into_iter()
        .map(|(message, pods)| {
            let text = format!("{} cannot start: {message}", count(pods.len(), "pod"));
            Finding::failed(CheckId::PodsRefused, text)
                .hint("the message says what to do; docs/errors.md explains each code")
                .names(pods)
        })
        .collect()
}

fn ipv6(observed: &ObservedAfter) -> Option<Finding> {
    let open = &observed.common.pods.as_ref()?.ipv6_open;
    (!open.is_empty()).then(|| {
        let text = format!(
            "the IPv6 traffic of {} passes the proxy by",
            count(open.len(), "redirected pod")
        );
        Finding::warning(CheckId::Ipv6Open, text)
            .hint("set the chart's value `ipv6` to `reject` or `redirect`")
            .names(open.clone())
    })
}

/// Nodes that still have the taint that the agent removes.
fn taint(nodes: &[&Node], daemon_set: &DaemonSet) -> Option<Finding> {
    let key = daemon_set.flag("--taint")?;
    let has_taint = |node: &&&Node| node.taints.iter().any(|taint| taint == key);
    let names: Vec<_> = nodes
        .iter()
        .filter(has_taint)
        .map(|node| node.name.clone())
        .collect();
    Some(if names.is_empty() {
        Finding::ok(CheckId::Taint, format!("no node has the taint `{key}`"))
    } else {
        let text = format!("{} with the taint `{key}`", count(names.len(), "node"));
        Finding::failed(CheckId::Taint, text)
            .hint("the agent removes it when it is ready: see `agent-ready`, and the agent's log for `taint:`")
            .names(names)
    })
}
