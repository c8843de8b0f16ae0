//! How repair stands, for status and page.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::diagnosis::Remedy;
use super::settings::{RepairAction, RepairSettings};
use crate::kube::pod::PodName;

/// How many broken pods a status names.
const NAMED: usize = 10;

/// How repair stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairStatus {
    /// What is done about broken pods: `repair`, `delete`, `label`.
    pub remedies: Vec<&'static str>,
    /// How many pods were repaired, deleted or labelled since the agent started.
    pub done: u64,
    /// How often that failed.
    pub failed: u64,
    /// How many pods of this node are broken now.
    pub broken: usize,
    /// The first of them, and why each still is.
    pub pods: Vec<BrokenPod>,
}

/// A pod that is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenPod {
    /// `NAMESPACE/NAME`.
    pub pod: String,
    /// Why it still is.
    pub why: String,
}

/// Counts and remembers, for whoever asks.
#[derive(Debug)]
pub(crate) struct Tally {
    remedies: Vec<&'static str>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    done: u64,
    failed: u64,
    /// By name; with the UID, so that a successor is not taken for it.
    broken: BTreeMap<PodName, (String, String)>,
}

impl Tally {
    pub(crate) fn new(settings: &RepairSettings) -> Self {
        let action = settings.action.map(|action| match action {
            RepairAction::InPlace => Remedy::InPlace,
            RepairAction::Delete => Remedy::Delete,
        });
        let label = settings.label_pods.then_some(Remedy::Label);
        let remedies = action.into_iter().chain(label).map(Remedy::as_str);
        Self {
            remedies: remedies.collect(),
            counts: Mutex::default(),
        }
    }

    pub(super) fn remedies(&self) -> &[&'static str] {
        &self.remedies
    }

    pub(crate) fn status(&self) -> RepairStatus {
        let counts = self.counts();
        let named = counts.broken.iter().take(NAMED);
        let named = named.map(|(name, (_, why))| BrokenPod {
            pod: name.to_string(),
            why: why.clone(),
        });
        RepairStatus {
            remedies: self.remedies.clone(),
            done: counts.done,
            failed: counts.failed,
            broken: counts.broken.len(),
            pods: named.collect(),
        }
    }

    pub(super) fn done(&self) {
        self.counts().done += 1;
    }

    pub(super) fn failed(&self) {
        self.counts().failed += 1;
    }

    /// The pod is broken, for that reason. Says whether that is new.
    pub(super) fn broken(&self, name: &PodName, uid: &str, why: String) -> bool {
        let entry = (uid.to_owned(), why);
        let mut counts = self.counts();
        if counts.broken.get(name) == Some(&entry) {
            return false;
        }
        counts.broken.insert(name.clone(), entry);
        true
    }

    /// It is not, or not any more.
    pub(super) fn sound(&self, name: &PodName, uid: &str) {
        let mut counts = self.counts();
        if counts.broken.get(name).is_some_and(|(of, _)| of == uid) {
            counts.broken.remove(name);
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
