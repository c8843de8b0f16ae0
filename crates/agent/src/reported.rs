//! The ADDs that plugins reported: the failed ones of each pod, or the last one if the agent does not
//! watch pods.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mesh_cni_agent_api::{AddOutcome, ListedPod, PodDecision, Refusals, Report};
use mesh_cni_text::truncated;

use mesh_cni_kube::pod::{Pod, PodName};

/// The most pods. One takes less than 2 KiB.
pub(crate) const MAX_PODS: usize = 512;

/// The longest name, UID or code that is kept, in bytes.
const MAX_NAME_BYTES: usize = 253;

/// The longest message that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 500;

/// What plugins reported about pods.
#[derive(Debug)]
pub(crate) struct ReportedPods {
    /// Keep every pod, not only those with failed ADDs.
    all: bool,
    pods: Mutex<Reported>,
}

#[derive(Debug, Default)]
struct Reported {
    by_name: BTreeMap<PodName, LastAdd>,
    /// Counts reports, so that the oldest is removed when there are too many.
    reports: u64,
}

/// The last ADD of a pod.
#[derive(Clone, Debug)]
struct LastAdd {
    uid: Option<String>,
    outcome: AddOutcome,
    reason: String,
    refusals: Option<Refusals>,
    number: u64,
}

impl ReportedPods {
    /// Keeps failed ADDs, or all if the agent knows pods only from reports.
    pub(crate) fn new(all: bool) -> Self {
        Self {
            all,
            pods: Mutex::default(),
        }
    }

    /// Adds a report.
    pub(crate) fn add(&self, report: &Report) {
        let failed = report.decision == AddOutcome::Error;
        let is_name = |name: &str| (1..=MAX_NAME_BYTES).contains(&name.len());
        if !is_name(&report.namespace) || !is_name(&report.name) {
            return;
        }
        let name = PodName::new(&report.namespace, &report.name);
        let uid = report.uid.as_deref();
        let uid = uid.map(|uid| truncated(uid, MAX_NAME_BYTES).to_owned());
        let mut reported = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = reported.by_name.remove(&name);
        let earlier = earlier.filter(|earlier| earlier.uid == uid);
        let mut refusals = earlier.and_then(|earlier| earlier.refusals);
        if failed {
            let last = refusals.get_or_insert_default();
            last.count += 1;
            last.code.clone_from(&report.reason);
            last.message = message(report);
        }
        if refusals.is_none() && !self.all {
            return;
        }
        reported.reports += 1;
        let number = reported.reports;
        let last = LastAdd {
            uid,
            outcome: report.decision,
            reason: report.reason.clone(),
            refusals,
            number,
        };
        reported.by_name.insert(name, last);
        if reported.by_name.len() > MAX_PODS {
            let oldest = reported.by_name.iter().min_by_key(|(_, add)| add.number);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                reported.by_name.remove(&oldest);
            }
        }
    }

    /// The failed ADDs of that pod.
    pub(crate) fn refusals(&self, pod: &Pod) -> Option<Refusals> {
        let reported = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let add = reported.by_name.get(&pod.name)?;
        let is_same = add.uid.is_none()
            || [Some(&pod.uid), pod.static_uid.as_ref()].contains(&add.uid.as_ref());
        add.refusals.clone().filter(|_| is_same)
    }

    /// Every pod, ordered by namespace and name.
    pub(crate) fn all(&self) -> Vec<ListedPod> {
        let reported = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = |(name, add): (&PodName, &LastAdd)| add.listed(name);
        reported.by_name.iter().map(listed).collect()
    }
}

impl LastAdd {
    fn listed(&self, name: &PodName) -> ListedPod {
        let (decision, reason) = match self.outcome {
            AddOutcome::Redirect => (PodDecision::Redirect, self.reason.clone()),
            AddOutcome::Enrol => (PodDecision::Enrol, self.reason.clone()),
            AddOutcome::Skip => (PodDecision::Skip, self.reason.clone()),
            AddOutcome::Error => {
                let message = self.refusals.as_ref().map(|refusals| &*refusals.message);
                let message = message.filter(|message| !message.is_empty());
                (
                    PodDecision::Refuse,
                    message.unwrap_or(&self.reason).to_owned(),
                )
            }
            AddOutcome::NoPod => (PodDecision::Unknown, self.reason.clone()),
        };
        ListedPod {
            namespace: name.namespace.clone(),
            name: name.name.clone(),
            uid: self.uid.clone(),
            decision,
            reason,
            rules_detail: Some(
                "the agent does not watch pods, so it does not know which rules the pod needs"
                    .to_owned(),
            ),
            refusals: self.refusals.clone(),
            ..ListedPod::default()
        }
    }
}

/// The last error in the report.
fn message(report: &Report) -> String {
    let errors = report.lines.iter().rev();
    let error = errors.into_iter().find(|line| line.level == "error");
    let message = error.map_or("", |line| line.message.as_str());
    truncated(message, MAX_MESSAGE_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(name: &str, uid: &str, decision: &str) -> Report {
        let report = json!({
            "namespace": "shop", "name": name, "uid": uid, "decision": decision, "reason": "7",
            "lines": [
                {"level": "error", "message": "invalid"}, {"level": "info", "message": "ADD"},
            ],
        });
        Report::from_json(report.to_string().as_bytes()).unwrap()
    }

    fn pod(uid: &str) -> Pod {
        let metadata = json!({"namespace": "shop", "name": "cart", "uid": uid});
        Pod::from_object(&json!({"metadata": metadata, "spec": {"containers": []}})).unwrap()
    }

    #[test]
    fn failed_adds_of_a_pod_are_counted_until_another_pod_has_its_name() {
        let reported = ReportedPods::new(false);
        reported.add(&report("cart", "c-1", "skip"));
        assert!(reported.all().is_empty(), "nothing failed");
        for _ in 0..3 {
            reported.add(&report("cart", "c-1", "error"));
        }
        reported.add(&report("cart", "c-1", "redirect"));
        let refusals = reported.refusals(&pod("c-1")).unwrap();
        let found = (refusals.count, &*refusals.code, &*refusals.message);
        assert_eq!(found, (3, "7", "invalid"));
        assert_eq!(reported.refusals(&pod("c-2")), None);
        reported.add(&report("cart", "c-2", "redirect"));
        assert_eq!(reported.refusals(&pod("c-1")), None);
    }

    #[test]
    fn the_number_of_pods_is_limited_and_the_oldest_report_is_removed() {
        let reported = ReportedPods::new(true);
        for number in 0..MAX_PODS + 2 {
            reported.add(&report(&format!("{number:03}"), "u", "redirect"));
            reported.add(&report("000", "u", "redirect"));
        }
        let names: Vec<_> = reported.all().into_iter().map(|pod| pod.name).collect();
        assert_eq!(names.len(), MAX_PODS);
        assert_eq!(names[..2], ["000", "003"], "1 and 2 are the oldest");
    }

    #[test]
    fn a_report_of_no_pod_or_with_long_names_is_not_kept() {
        let reported = ReportedPods::new(true);
        for name in ["", &"x".repeat(254)] {
            reported.add(&report(name, "u", "redirect"));
        }
        assert!(reported.all().is_empty());
    }
}
