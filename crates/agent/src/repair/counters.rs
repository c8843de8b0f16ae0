//! The results of repair for the status: counters, and the pods that are broken.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_cni_agent_api::{BrokenPod, RepairStatus};

use super::diagnosis::Action;
use super::settings::{RepairMethod, RepairSettings};
use mesh_cni_kube::pod::{Pod, PodName};

/// How many broken pods the status contains.
const MAX_PODS: usize = 10;

/// The results of repair since the agent started.
#[derive(Debug)]
pub(crate) struct RepairCounters {
    /// The names of the actions that the settings allow.
    actions: Vec<&'static str>,
    results: Mutex<Results>,
}

#[derive(Debug, Default)]
struct Results {
    done: u64,
    failed: u64,
    /// UID and reason for each broken pod.
    broken: BTreeMap<PodName, (String, String)>,
}

impl RepairCounters {
    pub(crate) fn new(settings: &RepairSettings) -> Self {
        let repair = settings.method.map(|method| match method {
            RepairMethod::InPlace => Action::RepairInPlace,
            RepairMethod::Delete => Action::Delete,
        });
        let label = settings.label_pods.then_some(Action::Label);
        Self {
            actions: repair
                .into_iter()
                .chain(label)
                .map(Action::as_str)
                .collect(),
            results: Mutex::default(),
        }
    }

    /// The number of broken pods.
    pub(crate) fn broken(&self) -> usize {
        self.results().broken.len()
    }

    pub(crate) fn status(&self) -> RepairStatus {
        let results = self.results();
        RepairStatus {
            remedies: self.actions.iter().map(ToString::to_string).collect(),
            done: results.done,
            failed: results.failed,
            broken: results.broken.len(),
            pods: results
                .broken
                .iter()
                .take(MAX_PODS)
                .map(|(name, (_uid, why))| BrokenPod {
                    pod: name.to_string(),
                    why: why.clone(),
                })
                .collect(),
        }
    }

    pub(super) fn count_done(&self) {
        self.results().done += 1;
    }

    pub(super) fn count_failed(&self) {
        self.results().failed += 1;
    }

    /// Records that the pod is broken. Returns whether that or the reason is new.
    pub(super) fn set_broken(&self, pod: &Pod, why: String) -> bool {
        let entry = (pod.uid.clone(), why);
        let mut results = self.results();
        if results.broken.get(&pod.name) == Some(&entry) {
            return false;
        }
        results.broken.insert(pod.name.clone(), entry);
        true
    }

    /// Records that the pod is not broken. The UID is compared, so that a pod of the same name keeps
    /// its entry.
    pub(super) fn clear_broken(&self, pod: &Pod) {
        let mut results = self.results();
        if results
            .broken
            .get(&pod.name)
            .is_some_and(|(uid, _why)| *uid == pod.uid)
        {
            results.broken.remove(&pod.name);
        }
    }

    fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
