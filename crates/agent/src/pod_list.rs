//! The list of the pods of this node, with the decision, the rules and the refusals of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use mesh_cni_agent_api::{ListedPod, PodDecision, PodList, PodListSource, RulesApplied};
use mesh_cni_plan::{Decision, ExpectedRules, decide_by_name};
use mesh_cni_text::truncated;

use crate::decide::{decide, describe};
use crate::http::routes::Agent;
use crate::live_rules::Batch;
use crate::readiness::Check;
use crate::repair::ObservedRules;
use crate::reported::MAX_PODS;
use mesh_cni_kube::pod::{Pod, PodError, PodName};

/// The longest reason or detail, in bytes. A tenant's annotation can be part of it.
const MAX_TEXT_BYTES: usize = 500;

/// The first pod of a part of the list.
pub(crate) enum Start<'a> {
    /// That many pods come before it.
    Index(usize),
    /// It is the first after this name.
    After(&'a PodName),
}

impl Agent {
    /// A part of the list with at most that many pods, and how many come before it.
    pub(crate) async fn list(&self, start: Start<'_>, most: usize) -> (usize, PodList) {
        if self.watches_pods {
            self.list_watched(start, most).await
        } else {
            self.list_reported(&start, most)
        }
    }

    async fn list_watched(&self, start: Start<'_>, most: usize) -> (usize, PodList) {
        let pods = self.store.all();
        let (first, part) = part(&pods, &start, most, |pod| pod.name.clone());
        let mut list = PodList::new(&self.node, PodListSource::Watch);
        list.total = pods.len();
        list.next = next(&pods, first + part.len(), |pod| pod.name.clone());
        let watch = self.readiness.get(Check::Watch);
        list.note = watch
            .filter(|watch| !watch.ready)
            .map(|watch| format!("the list is incomplete: {}", watch.detail));
        let batch = self.live_rules.batch().await;
        let pods = self.store.with_namespaces(part);
        // The rules of only a few pods are in memory at a time.
        let listed: Vec<_> = stream::iter(pods.into_iter().enumerate())
            .map(async |(index, pod)| (index, self.listed(&pod, &batch).await))
            .buffer_unordered(Batch::READS)
            .collect()
            .await;
        let listed: BTreeMap<_, _> = listed.into_iter().collect();
        list.pods = listed.into_values().collect();
        (first, list)
    }

    fn list_reported(&self, start: &Start<'_>, most: usize) -> (usize, PodList) {
        let pods = self.reported.all();
        let name = |pod: &ListedPod| PodName::new(&pod.namespace, &pod.name);
        let (first, part) = part(&pods, start, most, name);
        let mut list = PodList::new(&self.node, PodListSource::Reports);
        list.total = pods.len();
        list.next = next(&pods, first + part.len(), name);
        list.note = Some(format!(
            "the agent does not watch pods with pod source `{}`: the list has the pods whose ADD              plugins reported since the agent started, at most {MAX_PODS}, and some may have ended",
            self.conf.pod_source
        ));
        list.pods = part.to_vec();
        (first, list)
    }

    async fn listed(&self, pod: &Arc<Pod>, batch: &Batch<'_>) -> ListedPod {
        let (decision, reason, needed) = self.decision(pod);
        let mesh = needed.mesh.map(|mesh| mesh.as_str().to_owned());
        let is_on_node = pod.facts.as_ref().is_ok_and(|facts| facts.host_network);
        let (rules, detail) = if decision == PodDecision::Unknown {
            (RulesApplied::Unknown, Some(reason.clone()))
        } else if is_on_node {
            let why = "the pod is on the node's network";
            (RulesApplied::No, Some(why.to_owned()))
        } else {
            applied(batch.observe(pod, needed).await, decision)
        };
        let ambient = self.ambient.as_ref();
        ListedPod {
            namespace: pod.name.namespace.clone(),
            name: pod.name.name.clone(),
            uid: Some(pod.uid.clone()),
            phase: pod.phase.clone(),
            mesh,
            decision,
            reason: shortened(&reason),
            rules,
            rules_detail: detail.map(|detail| shortened(&detail)),
            ambient: ambient.and_then(|states| states.of(&pod.uid)),
            refusals: self.reported.refusals(pod),
        }
    }

    fn decision(&self, pod: &Pod) -> (PodDecision, String, ExpectedRules) {
        let none = || ExpectedRules::none(&self.conf);
        let unknown = |why: &str| (PodDecision::Unknown, why.to_owned(), none());
        let PodName { namespace, name } = &pod.name;
        if decide_by_name(&self.conf, namespace, name).is_none() {
            match &pod.facts {
                Err(PodError::TooLarge) => {
                    let why = "its settings are not kept in memory; its page requests them";
                    return unknown(why);
                }
                Ok(facts)
                    if self.store.keeps_namespaces()
                        && facts.namespace_labels.is_none()
                        && facts.namespace_annotations.is_none() =>
                {
                    return unknown("its namespace is not known yet");
                }
                _ => {}
            }
        }
        let decision = decide(pod, &self.conf);
        let (word, reason) = describe(&decision);
        let rules = match decision {
            Ok(Decision::Redirect(redirection) | Decision::Enrol(redirection)) => {
                ExpectedRules::of(*redirection)
            }
            _ => none(),
        };
        (word, reason, rules)
    }
}

/// The observed rules in one word, and details.
fn applied(observed: ObservedRules, decision: PodDecision) -> (RulesApplied, Option<String>) {
    match observed {
        ObservedRules::AsExpected
            if matches!(decision, PodDecision::Redirect | PodDecision::Enrol) =>
        {
            (RulesApplied::Yes, None)
        }
        ObservedRules::AsExpected => (RulesApplied::No, None),
        ObservedRules::Missing => {
            let why = "the pod runs without the rules that it needs";
            (RulesApplied::No, Some(why.to_owned()))
        }
        ObservedRules::Different(difference) => (RulesApplied::Drifted, Some(difference)),
        ObservedRules::Unreadable(why) => (RulesApplied::Unknown, Some(why)),
    }
}

/// The part of the ordered pods from `start` on, and how many come before it.
fn part<'pods, T>(
    pods: &'pods [T],
    start: &Start<'_>,
    most: usize,
    name: impl Fn(&T) -> PodName,
) -> (usize, &'pods [T]) {
    let first = match start {
        Start::Index(index) => (*index).min(pods.len()),
        Start::After(last) => pods.partition_point(|pod| name(pod) <= **last),
    };
    (first, &pods[first..pods.len().min(first + most)])
}

/// The name after which the next part starts, if that many pods are not all.
fn next<T>(pods: &[T], listed: usize, name: impl Fn(&T) -> PodName) -> Option<String> {
    let last = listed.checked_sub(1).filter(|_| listed < pods.len())?;
    pods.get(last).map(|pod| name(pod).to_string())
}

fn shortened(text: &str) -> String {
    let start = truncated(text, MAX_TEXT_BYTES);
    let end = if start.len() < text.len() { " …" } else { "" };
    format!("{start}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_also_if_their_last_pod_is_gone() {
        let pods: Vec<_> = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "c")]
            .map(|(namespace, name)| PodName::new(namespace, name))
            .into();
        let names = |part: &[PodName]| part.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (first, two) = part(&pods, &Start::Index(0), 2, Clone::clone);
        assert_eq!(
            (first, names(two)),
            (0, vec!["a/a".to_owned(), "a/b".to_owned()])
        );
        assert_eq!(next(&pods, 2, Clone::clone).as_deref(), Some("a/b"));
        let gone = PodName::new("a", "c");
        let (first, rest) = part(&pods, &Start::After(&gone), 9, Clone::clone);
        assert_eq!(
            (first, names(rest)),
            (2, vec!["b/a".to_owned(), "b/c".to_owned()])
        );
        assert_eq!(next(&pods, 4, Clone::clone), None);
        assert_eq!(part(&pods, &Start::Index(9), 9, Clone::clone).0, 4);
        assert_eq!(next(&pods[..0], 0, Clone::clone), None);
    }
}
