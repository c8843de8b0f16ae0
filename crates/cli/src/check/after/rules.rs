//! Whether the pods that should be redirected have their rules, as the agents know them.

use mesh_cni_agent_api::{ListedPod, PodDecision, PodList, RepairStatus, RulesApplied};

use crate::check::finding::{CheckId, Finding};
use crate::check::groups::{count, grouped};
use crate::check::observed::ObservedAfter;

/// What the agents know, added up.
#[derive(Default)]
struct Known {
    /// Why a pod has not the right rules, and its name.
    broken: Vec<(String, String)>,
    /// Why the rules of a pod cannot be read, and its name.
    unread: Vec<(String, String)>,
    /// How many more broken pods agents count without naming them.
    more: usize,
    /// Nodes on which nothing looks for such pods.
    unchecked: Vec<String>,
}

pub(super) fn judge(observed: &ObservedAfter) -> Vec<Finding> {
    let mut known = Known::default();
    for (node, answer) in &observed.answers {
        let status = answer
            .as_ref()
            .ok()
            .and_then(|answer| answer.agent.as_ref());
        match (observed.lists.get(node), status) {
            (Some(list), _) => known.add_list(list),
            (None, Some(status)) => match &status.repair {
                Some(repair) => known.add_repair(repair),
                None => known.unchecked.push(node.clone()),
            },
            (None, None) => {}
        }
    }
    let mut findings = known.findings();
    if findings.is_empty() && observed.answers.values().any(Result::is_ok) {
        let text = "every redirected pod that an agent knows has its rules";
        findings.push(Finding::ok(CheckId::Rules, text));
    }
    findings
}

impl Known {
    fn add_list(&mut self, list: &PodList) {
        let needs_rules = |pod: &&ListedPod| {
            matches!(pod.decision, PodDecision::Redirect | PodDecision::Enrol)
                && matches!(&*pod.phase, "Running" | "")
        };
        for pod in list.pods.iter().filter(needs_rules) {
            let name = format!("{}/{}", pod.namespace, pod.name);
            let detail = pod.rules_detail.as_deref().unwrap_or("no reason is known");
            match pod.rules {
                RulesApplied::Yes => {}
                RulesApplied::No => self.broken.push((format!("it has none: {detail}"), name)),
                RulesApplied::Drifted => self.broken.push((format!("they differ: {detail}"), name)),
                RulesApplied::Unknown => self.unread.push((detail.to_owned(), name)),
            }
        }
    }

    fn add_repair(&mut self, repair: &RepairStatus) {
        self.more += repair.broken.saturating_sub(repair.pods.len());
        let pods = repair.pods.iter();
        self.broken
            .extend(pods.map(|pod| (pod.why.clone(), pod.pod.clone())));
    }

    fn findings(self) -> Vec<Finding> {
        let broken = grouped(self.broken).into_iter().map(|(why, pods)| {
            let number = count(pods.len(), "pod");
            let text = format!("{number} without the right rules: {why}");
            Finding::failed(CheckId::Rules, text)
                .hint(
                    "restart the pod; on its node, `mesh-cnictl verify --pod NAMESPACE/NAME` names every difference",
                )
                .names(pods)
        });
        let more = (self.more > 0).then(|| {
            let text = format!("{} without the right rules", count(self.more, "more pod"));
            Finding::failed(CheckId::Rules, text)
                .hint("`mesh-cni-agent status` on the node counts them")
        });
        let unread = grouped(self.unread).into_iter().map(|(why, pods)| {
            let number = count(pods.len(), "pod");
            let text = format!("{number} whose rules are not known: {why}");
            Finding::warning(CheckId::Rules, text)
                .hint(
                    "the agent reads rules with the chart's value `repair.repairPods=true`, which gives it the rights",
                )
                .names(pods)
        });
        let unchecked = (!self.unchecked.is_empty()).then(|| {
            let number = count(self.unchecked.len(), "node");
            let text = format!("{number} where nothing looks for pods without rules");
            Finding::warning(CheckId::Rules, text)
                .hint("set the chart's value `repair.enabled=true`")
                .names(self.unchecked)
        });
        broken.chain(more).chain(unread).chain(unchecked).collect()
    }
}
