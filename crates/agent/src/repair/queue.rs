//! When each pod is checked next: at most once at a time, and less often the more attempts fail.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::diagnosis::History;
use crate::kube::pod::{Pod, PodName};

/// The largest number of pods, which is more than a kubelet runs.
const MAX_PODS: usize = 2048;

/// The delay before a changed pod is checked, because a kubelet often sends several changes at once.
const SETTLE: Duration = Duration::from_millis(100);

/// The backoff after the first failure; each further one is twice as long, up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// The pods that may need repair, by UID.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: HashMap<String, Entry>,
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
}

/// A pod to check now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) uid: String,
    pub(super) name: PodName,
}

impl Queue {
    /// The pod was created or changed. Returns `false` if there are too many pods.
    pub(super) fn changed(&mut self, pod: &Arc<Pod>, now: Instant) -> bool {
        if self.entries.len() >= MAX_PODS && !self.entries.contains_key(&pod.uid) {
            return false;
        }
        let entry = self
            .entries
            .entry(pod.uid.clone())
            .or_insert_with(|| Entry {
                name: pod.name.clone(),
                history: History::default(),
                due: None,
                not_before: now,
                failures: 0,
            });
        let soon = now + SETTLE;
        let due = entry.due.map_or(soon, |due| due.min(soon));
        entry.due = Some(due.max(entry.not_before));
        true
    }

    /// Removes a pod.
    pub(super) fn remove(&mut self, uid: &str) {
        self.entries.remove(uid);
    }

    /// Removes every pod that is not among these: an event may have been missed.
    pub(super) fn retain(&mut self, pods: &[Arc<Pod>]) {
        self.entries
            .retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid));
    }

    /// The number of pods.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When the next pod is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }

    /// Takes the pods that are due, ordered by name. They are not due again until a later call says
    /// so.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Due> {
        let mut due: Vec<_> = self
            .entries
            .iter_mut()
            .filter_map(|(uid, entry)| {
                entry.due.take_if(|due| *due <= now)?;
                let (uid, name) = (uid.clone(), entry.name.clone());
                Some(Due { uid, name })
            })
            .collect();
        due.sort_by(|one, other| one.name.cmp(&other.name));
        due
    }

    /// The history of the pod.
    pub(super) fn history(&mut self, uid: &str) -> Option<&mut History> {
        self.entries.get_mut(uid).map(|entry| &mut entry.history)
    }

    /// An action succeeded, so the backoff starts from the beginning.
    pub(super) fn succeeded(&mut self, uid: &str) {
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.failures = 0;
        }
    }

    /// An action failed: the pod is due after a backoff, which is returned, and not before.
    pub(super) fn failed(&mut self, uid: &str, now: Instant) -> Duration {
        let backoff = self.not_possible(uid, now);
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.not_before = now + backoff;
        }
        backoff
    }

    /// An action was not possible: the pod is due after a backoff, which is returned, or when it
    /// changes.
    pub(super) fn not_possible(&mut self, uid: &str, now: Instant) -> Duration {
        let Some(entry) = self.entries.get_mut(uid) else {
            return Duration::ZERO;
        };
        let doublings = entry.failures.min(16);
        let backoff = MAX_BACKOFF.min(MIN_BACKOFF * 2_u32.pow(doublings));
        entry.failures += 1;
        entry.due = Some(now + backoff);
        backoff
    }

    /// The number of consecutive failures.
    pub(super) fn failures(&self, uid: &str) -> u32 {
        self.entries.get(uid).map_or(0, |entry| entry.failures)
    }

    /// The pod is due then, without a failure.
    pub(super) fn postpone(&mut self, uid: &str, until: Instant) {
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.due = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, uid: &str) -> Arc<Pod> {
        let metadata = json!({"namespace": "shop", "name": name, "uid": uid});
        Arc::new(Pod::from_object(&json!({"metadata": metadata})).expect("it is a pod"))
    }

    fn names(due: Vec<Due>) -> Vec<String> {
        due.into_iter().map(|due| due.name.name).collect()
    }

    #[test]
    fn several_changes_make_a_pod_due_once() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for _ in 0..3 {
            queue.changed(&pod("till", "t"), now);
            queue.changed(&pod("cart", "c"), now);
        }
        assert!(queue.take(now).is_empty(), "more changes may follow");
        let later = now + SETTLE;
        assert_eq!(queue.next(), Some(later));
        assert_eq!(names(queue.take(later)), ["cart", "till"]);
        assert_eq!(queue.next(), None);
        assert!(queue.take(later).is_empty());
    }

    #[test]
    fn the_backoff_of_a_failing_pod_doubles_and_ignores_changes() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        let cart = pod("cart", "c");
        queue.changed(&cart, now);
        now += SETTLE;
        let mut backoffs = Vec::new();
        for _ in 0..12 {
            assert_eq!(names(queue.take(now)), ["cart"]);
            let backoff = queue.failed("c", now);
            queue.changed(&cart, now);
            assert!(queue.take(now).is_empty(), "it is not due");
            backoffs.push(backoff.as_secs());
            now += backoff;
        }
        assert_eq!(backoffs, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        queue.succeeded("c");
        assert_eq!(queue.failed("c", now).as_secs(), 1);
    }

    #[test]
    fn after_an_impossible_action_a_pod_is_due_when_it_changes() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let cart = pod("cart", "c");
        queue.changed(&cart, now);
        queue.take(now + SETTLE);
        for seconds in [1, 2, 4] {
            assert_eq!(queue.not_possible("c", now).as_secs(), seconds);
            assert_eq!(queue.next(), Some(now + Duration::from_secs(seconds)));
        }
        queue.changed(&cart, now);
        assert_eq!(queue.next(), Some(now + SETTLE));
    }

    #[test]
    fn a_new_pod_of_the_same_name_has_no_failures() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.changed(&pod("cart", "first"), now);
        queue.take(now);
        queue.failed("first", now);
        queue.remove("first");
        queue.changed(&pod("cart", "second"), now);
        let due = queue.take(now + SETTLE);
        assert_eq!(due[0].uid, "second");
        assert_eq!(queue.failures("second"), 0);
    }

    #[test]
    fn the_number_of_pods_is_limited() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for number in 0..MAX_PODS {
            assert!(queue.changed(&pod("p", &number.to_string()), now));
        }
        assert!(!queue.changed(&pod("p", "one more"), now));
        queue.retain(&[pod("p", "7")]);
        assert_eq!(queue.len(), 1);
    }
}
