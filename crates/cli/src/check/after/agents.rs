//! Whether each node has an agent that is ready and answers.

use crate::check::finding::{CheckId, Finding};
use crate::check::groups::{count, grouped};
use crate::check::node::Node;
use crate::check::objects::DaemonSet;
use crate::check::observed::ObservedAfter;
use crate::cluster::agents::AgentPod;

pub(super) fn missing(
    observed: &ObservedAfter,
    nodes: &[&Node],
    daemon_set: &DaemonSet,
) -> Option<Finding> {
    let without = |node: &&&Node| !observed.agents.contains_key(&node.name);
    let names: Vec<_> = nodes
        .iter()
        .filter(without)
        .map(|node| node.name.clone())
        .collect();
    (!names.is_empty()).then(|| {
        let DaemonSet {
            namespace, name, ..
        } = daemon_set;
        let text = format!("{} without an agent", count(names.len(), "node"));
        Finding::failed(CheckId::AgentMissing, text)
            .hint(format!(
                "pods that need redirection do not start there: \
                 `kubectl -n {namespace} describe daemonset {name}` says why there is no pod"
            ))
            .names(names)
    })
}

pub(super) fn ready(observed: &ObservedAfter, nodes: &[&Node]) -> Vec<Finding> {
    let not_ready = observed
        .agents
        .iter()
        .filter(|(_, pod)| !pod.is_ready)
        .map(|(node, pod)| (why(observed, node, pod), node));
    let mut findings: Vec<_> = grouped(not_ready)
        .into_iter()
        .map(|(why, names)| {
            let text = format!(
                "{} whose agent is not ready: {why}",
                count(names.len(), "node")
            );
            Finding::failed(CheckId::AgentReady, text)
                .hint(hint(&why, &observed.common.namespace))
                .names(names)
        })
        .collect();
    let ready = nodes.iter().filter(|node| {
        observed
            .agents
            .get(&node.name)
            .is_some_and(|pod| pod.is_ready)
    });
    let text = format!(
        "the agent is ready on {} of {}",
        ready.count(),
        count(nodes.len(), "node")
    );
    if findings.is_empty() {
        findings.push(Finding::ok(CheckId::AgentReady, text));
    }
    findings
}

/// Why an agent is not ready: what it says itself, or the state of its containers.
fn why(observed: &ObservedAfter, node: &str, pod: &AgentPod) -> String {
    let answer = observed
        .answers
        .get(node)
        .and_then(|answer| answer.as_ref().ok());
    if let Some(why) = answer.and_then(|answer| answer.why.clone()) {
        return why;
    }
    match &pod.waits_for {
        Some(reason) => reason.clone(),
        None if pod.is_deleted => "its pod is being deleted".to_owned(),
        None => format!("its pod is in phase {}", pod.phase),
    }
}

fn hint(why: &str, namespace: &str) -> String {
    match why {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => {
            "set the chart's values `hub`, `image` and `tag` to an image that the node can pull"
                .to_owned()
        }
        "CreateContainerConfigError" | "CreateContainerError" => {
            format!(
                "`kubectl -n {namespace} describe pod` of the agent has the error in its Events"
            )
        }
        _ if why.contains("no network configuration") => {
            "the agent looks in a directory that the runtime does not use: set the chart's value `platform`, or \
             `cniConfDir`; see `cni-directories`"
                .to_owned()
        }
        _ => format!("read the agent's log: `kubectl -n {namespace} logs POD`"),
    }
}

pub(super) fn answers(observed: &ObservedAfter) -> Vec<Finding> {
    let failed = observed
        .answers
        .iter()
        .filter_map(|(node, answer)| Some((answer.as_ref().err()?.clone(), node)));
    grouped(failed)
        .into_iter()
        .map(|(error, names)| {
            let text = format!("{} whose agent was not asked: {error}", count(names.len(), "node"));
            Finding::failed(CheckId::AgentAnswer, text)
                .hint(
                    "the check runs `mesh-cni-agent status` in the agent's container: the user needs the right to \
                     `create pods/exec`, and the API server must reach the kubelet",
                )
                .names(names)
        })
        .collect()
}
