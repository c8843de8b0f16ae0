//! Whether ztunnel serves the pods in ambient mode, as the agents know it.

use mesh_cni_agent_api::{AmbientState, AmbientStatus};

use crate::check::finding::{CheckId, Finding};
use crate::check::groups::{count, grouped};
use crate::check::observed::ObservedAfter;

/// Nothing without agents that serve ambient mode.
pub(super) fn judge(observed: &ObservedAfter) -> Vec<Finding> {
    let answers = observed.answers.iter().filter_map(|(node, answer)| {
        let status = answer.as_ref().ok()?.agent.as_ref()?;
        Some((node, status.ambient.as_ref()?))
    });
    let served: Vec<_> = answers.collect();
    let mut findings: Vec<_> = without_ztunnel(&served)
        .into_iter()
        .chain(broken(&served))
        .collect();
    if findings.is_empty() && !served.is_empty() {
        let enrolled = served
            .iter()
            .map(|(_, status)| status.count(AmbientState::Enrolled));
        let text = format!(
            "ztunnel serves {} in ambient mode on {}",
            count(enrolled.sum(), "pod"),
            count(served.len(), "node")
        );
        findings.push(Finding::ok(CheckId::Ambient, text));
    }
    findings
}

fn without_ztunnel(served: &[(&String, &AmbientStatus)]) -> Option<Finding> {
    let without = served.iter().filter(|(_, status)| status.ztunnels == 0);
    let names: Vec<_> = without.map(|(node, _)| (*node).clone()).collect();
    (!names.is_empty()).then(|| {
        let text = format!(
            "{} where no ztunnel is connected to the agent",
            count(names.len(), "node")
        );
        Finding::failed(CheckId::Ambient, text)
            .hint(
                "pods in ambient mode do not start there, and connections of those that run are refused: check the \
                 ztunnel pod of the node, and that it mounts the directory of the agent's --ztunnel-uds-address",
            )
            .names(names)
    })
}

fn broken(served: &[(&String, &AmbientStatus)]) -> impl Iterator<Item = Finding> {
    let named = served.iter().flat_map(|(_, status)| &status.broken);
    let named = grouped(named.map(|broken| (broken.why.clone(), &broken.pod)));
    let more = served.iter().map(|(_, status)| {
        status
            .count(AmbientState::Broken)
            .saturating_sub(status.broken.len())
    });
    let more: usize = more.sum();
    let hint = "docs/ambient.md explains the reason in brackets; the pod has an Event with it";
    let of_reason = named.into_iter().map(move |(why, pods)| {
        let text = format!("{} in ambient mode: {why}", count(pods.len(), "broken pod"));
        Finding::failed(CheckId::Ambient, text)
            .hint(hint)
            .names(pods)
    });
    of_reason.chain((more > 0).then(|| {
        let text = format!("{} in ambient mode", count(more, "more broken pod"));
        Finding::failed(CheckId::Ambient, text)
            .hint("`mesh-cni-agent status` on the node counts them")
    }))
}
