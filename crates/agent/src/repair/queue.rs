//! Which pod is checked next: at most once at a time, less often the more attempts fail, and namespaces
//! take turns, so that the pods of one cannot delay those of another for long.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::diagnosis::History;
use mesh_cni_kube::pod::{Pod, PodName};

/// The largest number of pods, which is more than a kubelet runs.
const MAX_PODS: usize = 2048;

/// The delay before a changed pod is checked, because a kubelet often sends several changes at once.
const SETTLE: Duration = Duration::from_millis(100);

/// The backoff after the first failure; each further one is twice as long, up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// The pods that may need repair.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By UID.
    entries: HashMap<String, Entry>,
    /// Those that have entries.
    namespaces: BTreeMap<String, Namespace>,
    /// The number of turns so far.
    turns: u64,
}

#[derive(Debug)]
struct Entry {
    name: PodName,
    history: History,
    /// When the pod is checked next.
    due: Option<Instant>,
    /// The pod is not checked before, even if it changes.
    not_before: Instant,
    /// Consecutive failures.
    failures: u32,
    /// Whether it waits until a pod of its namespace may be deleted.
    waits_for_deletion: bool,
}

/// The entries of one namespace.
#[derive(Debug, Default)]
struct Namespace {
    /// The pods with a time, by time.
    due: BTreeSet<(Instant, String)>,
    pods: usize,
    waiting_for_deletion: usize,
    /// The turn in which a pod was checked last.
    checked: u64,
    /// The turn in which a pod was deleted last.
    deleted: u64,
}

/// A pod to check now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) uid: String,
    pub(super) name: PodName,
    /// Whether it waited for its deletion.
    pub(super) waits_for_deletion: bool,
}

impl Queue {
    /// The pod was created or changed. Returns `false` if there are too many pods: then a pod of the
    /// namespace with the most pods is not checked.
    pub(super) fn changed(&mut self, pod: &Arc<Pod>, now: Instant) -> bool {
        let mut has_room = true;
        if !self.entries.contains_key(&pod.uid) {
            if pod.has_ended() {
                return true;
            }
            has_room = self.entries.len() < MAX_PODS;
            if !has_room && !self.remove_from_larger_namespace(&pod.name.namespace) {
                return false;
            }
            self.add(pod, now);
        }
        let soon = now + SETTLE;
        self.change(&pod.uid, |entry| {
            let due = entry.due.map_or(soon, |due| due.min(soon));
            entry.due = Some(due.max(entry.not_before));
        });
        has_room
    }

    /// Removes a pod.
    pub(super) fn remove(&mut self, uid: &str) {
        self.change(uid, |entry| {
            entry.due = None;
            entry.waits_for_deletion = false;
        });
        let Some(entry) = self.entries.remove(uid) else {
            return;
        };
        if let Some(namespace) = self.namespaces.get_mut(&entry.name.namespace) {
            namespace.pods -= 1;
            if namespace.pods == 0 {
                self.namespaces.remove(&entry.name.namespace);
            }
        }
    }

    /// Removes every pod that is not among these: an event may have been missed.
    pub(super) fn retain(&mut self, pods: &[Arc<Pod>]) {
        let existing: BTreeSet<_> = pods.iter().map(|pod| pod.uid.as_str()).collect();
        let all = self.entries.keys();
        let gone: Vec<_> = all
            .filter(|uid| !existing.contains(uid.as_str()))
            .cloned()
            .collect();
        for uid in gone {
            self.remove(&uid);
        }
    }

    /// The number of pods.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When the next pod is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let firsts = self.namespaces.values();
        firsts
            .filter_map(|namespace| namespace.due.first().map(|(due, _)| *due))
            .min()
    }

    /// Takes a pod that is due, of the namespace whose turn was the longest ago. It is not due again
    /// until a later call says so.
    pub(super) fn take(&mut self, now: Instant) -> Option<Due> {
        let is_due = |due: &(Instant, String)| due.0 <= now;
        let namespace = self
            .namespaces
            .values_mut()
            .filter(|namespace| namespace.due.first().is_some_and(is_due))
            .min_by_key(|namespace| namespace.checked)?;
        self.turns += 1;
        namespace.checked = self.turns;
        let uid = namespace.due.first()?.1.clone();
        self.change(&uid, |entry| {
            entry.due = None;
            Due {
                uid: uid.clone(),
                name: entry.name.clone(),
                waits_for_deletion: std::mem::take(&mut entry.waits_for_deletion),
            }
        })
    }

    /// The history of the pod.
    pub(super) fn history(&mut self, uid: &str) -> Option<&mut History> {
        self.entries.get_mut(uid).map(|entry| &mut entry.history)
    }

    /// An action succeeded, so the backoff starts from the beginning.
    pub(super) fn succeeded(&mut self, uid: &str) {
        self.change(uid, |entry| entry.failures = 0);
    }

    /// An action failed: the pod is due after a backoff, which is returned, and not before.
    pub(super) fn failed(&mut self, uid: &str, now: Instant) -> Duration {
        let backoff = self.not_possible(uid, now);
        self.change(uid, |entry| entry.not_before = now + backoff);
        backoff
    }

    /// An action was not possible: the pod is due after a backoff, which is returned, or when it
    /// changes.
    pub(super) fn not_possible(&mut self, uid: &str, now: Instant) -> Duration {
        let backoff = self.change(uid, |entry| {
            let doublings = entry.failures.min(16);
            let backoff = MAX_BACKOFF.min(MIN_BACKOFF * 2_u32.pow(doublings));
            entry.failures += 1;
            entry.due = Some(now + backoff);
            backoff
        });
        backoff.unwrap_or_default()
    }

    /// The number of consecutive failures.
    pub(super) fn failures(&self, uid: &str) -> u32 {
        self.entries.get(uid).map_or(0, |entry| entry.failures)
    }

    /// The pod is not checked before then, even if it changes.
    pub(super) fn rest(&mut self, uid: &str, until: Instant) {
        self.change(uid, |entry| entry.not_before = until);
    }

    /// The pod is due then, without a failure.
    pub(super) fn postpone(&mut self, uid: &str, until: Instant) {
        self.change(uid, |entry| entry.due = Some(until));
    }

    /// The pod is to be deleted, and is due then.
    pub(super) fn postpone_deletion(&mut self, uid: &str, until: Instant) {
        self.change(uid, |entry| {
            entry.due = Some(until);
            entry.waits_for_deletion = true;
        });
    }

    /// Whether the pod may be deleted: no other namespace has waited longer. Otherwise it is checked
    /// again soon.
    pub(super) fn may_delete(&mut self, uid: &str, now: Instant) -> bool {
        let own = self.namespace_of(uid).map_or(0, |own| own.deleted);
        let mut waiting = self
            .namespaces
            .values()
            .filter(|namespace| namespace.waiting_for_deletion > 0);
        let is_turn = waiting.all(|namespace| namespace.deleted >= own);
        if !is_turn {
            self.postpone_deletion(uid, now + SETTLE);
        }
        is_turn
    }

    /// The pod is deleted, so it is the turn of other namespaces.
    pub(super) fn deleting(&mut self, uid: &str) {
        self.turns += 1;
        let turn = self.turns;
        if let Some(own) = self.namespace_of(uid) {
            own.deleted = turn;
        }
    }

    fn namespace_of(&mut self, uid: &str) -> Option<&mut Namespace> {
        let entry = self.entries.get(uid)?;
        self.namespaces.get_mut(&entry.name.namespace)
    }

    fn add(&mut self, pod: &Pod, now: Instant) {
        let entry = Entry {
            name: pod.name.clone(),
            history: History::default(),
            due: None,
            not_before: now,
            failures: 0,
            waits_for_deletion: false,
        };
        self.entries.insert(pod.uid.clone(), entry);
        // A namespace whose pods come and go has no advantage over one whose pods wait.
        let new = || Namespace {
            checked: self.turns,
            deleted: self.turns,
            ..Namespace::default()
        };
        let namespace = self.namespaces.entry(pod.name.namespace.clone());
        namespace.or_insert_with(new).pods += 1;
    }

    /// Removes the pod that is due last from the namespace with the most pods, if it has more than
    /// this one will have.
    fn remove_from_larger_namespace(&mut self, than: &str) -> bool {
        let own = self.namespaces.get(than).map_or(0, |it| it.pods);
        let largest = self.namespaces.iter().max_by_key(|(_, it)| it.pods);
        let Some((name, _)) = largest.filter(|(_, it)| it.pods > own + 1) else {
            return false;
        };
        let in_it = self
            .entries
            .iter()
            .filter(|(_, it)| it.name.namespace == *name);
        // Those without a time are removed first: nothing is to be done about them.
        let last = in_it.max_by_key(|(_, it)| (it.due.is_none(), it.due));
        let Some(uid) = last.map(|(uid, _)| uid.clone()) else {
            return false;
        };
        self.remove(&uid);
        true
    }

    /// Changes an entry, and what its namespace records about it.
    fn change<T>(&mut self, uid: &str, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(uid)?;
        let before = (entry.due, entry.waits_for_deletion);
        let result = change(entry);
        if let Some(namespace) = self.namespaces.get_mut(&entry.name.namespace) {
            if let Some(due) = before.0 {
                namespace.due.remove(&(due, uid.to_owned()));
            }
            if let Some(due) = entry.due {
                namespace.due.insert((due, uid.to_owned()));
            }
            namespace.waiting_for_deletion -= usize::from(before.1);
            namespace.waiting_for_deletion += usize::from(entry.waits_for_deletion);
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests;
