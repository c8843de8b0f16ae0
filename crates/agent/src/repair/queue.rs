//! Which pods are due, and when: each at most once at a time, and a failing one ever more rarely.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::diagnosis::History;
use crate::kube::pod::{Pod, PodName};

/// More than any kubelet runs; what comes beyond is told to the log.
const MOST: usize = 2048;

/// How long is waited for more to be heard: a kubelet that tells one thing tells another.
const SETTLE: Duration = Duration::from_millis(100);

/// The pause after the first failure; each further one is twice as long, up to `LONGEST`.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

/// The pods that are followed, by UID.
#[derive(Debug, Default)]
pub(super) struct Queue {
    patients: HashMap<String, Patient>,
}

/// A pod that is followed.
#[derive(Debug)]
pub(super) struct Patient {
    name: PodName,
    pub(super) history: History,
    /// When it is looked at next.
    due: Option<Instant>,
    /// It is not looked at before that, whatever is heard of it.
    not_before: Instant,
    /// How often in a row something failed.
    failures: u32,
}

/// A pod that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) uid: String,
    pub(super) name: PodName,
}

impl Queue {
    /// Something was heard of the pod. `false` where there are too many.
    pub(super) fn heard(&mut self, pod: &Arc<Pod>, now: Instant) -> bool {
        if self.patients.len() >= MOST && !self.patients.contains_key(&pod.uid) {
            return false;
        }
        let patient = self
            .patients
            .entry(pod.uid.clone())
            .or_insert_with(|| Patient {
                name: pod.name.clone(),
                history: History::default(),
                due: None,
                not_before: now,
                failures: 0,
            });
        let soon = now + SETTLE;
        let due = patient.due.map_or(soon, |due| due.min(soon));
        patient.due = Some(due.max(patient.not_before));
        true
    }

    /// The pod is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.patients.remove(uid);
    }

    /// Forgets every pod that is not among these: an event may have been missed.
    pub(super) fn keep(&mut self, pods: &[Arc<Pod>]) {
        self.patients
            .retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid));
    }

    /// How many pods are followed.
    pub(super) fn len(&self) -> usize {
        self.patients.len()
    }

    /// When the next pod is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.patients
            .values()
            .filter_map(|patient| patient.due)
            .min()
    }

    /// Takes those that are due, by name; who is not told otherwise of them rests until it is heard
    /// of again.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        for (uid, patient) in &mut self.patients {
            if patient.due.take_if(|due| *due <= now).is_some() {
                let (uid, name) = (uid.clone(), patient.name.clone());
                due.push(Due { uid, name });
            }
        }
        due.sort_by(|one, other| one.name.cmp(&other.name));
        due
    }

    /// What is known of the pod.
    pub(super) fn history(&mut self, uid: &str) -> Option<&mut History> {
        self.patients
            .get_mut(uid)
            .map(|patient| &mut patient.history)
    }

    /// Something worked: the next failure is the first again.
    pub(super) fn worked(&mut self, uid: &str) {
        if let Some(patient) = self.patients.get_mut(uid) {
            patient.failures = 0;
        }
    }

    /// Something failed: the pod rests, and is due again then. Gives back the pause.
    pub(super) fn failed(&mut self, uid: &str, now: Instant) -> Duration {
        let pause = self.missed(uid, now);
        if let Some(patient) = self.patients.get_mut(uid) {
            patient.not_before = now + pause;
        }
        pause
    }

    /// Nothing could be tried: the pod is due again then, or as soon as it is heard of.
    pub(super) fn missed(&mut self, uid: &str, now: Instant) -> Duration {
        let Some(patient) = self.patients.get_mut(uid) else {
            return Duration::ZERO;
        };
        let doublings = patient.failures.min(16);
        let pause = LONGEST.min(SHORTEST * 2_u32.pow(doublings));
        patient.failures += 1;
        patient.due = Some(now + pause);
        pause
    }

    /// How often in a row something failed.
    pub(super) fn failures(&self, uid: &str) -> u32 {
        self.patients.get(uid).map_or(0, |patient| patient.failures)
    }

    /// The pod is due again then, without a failure.
    pub(super) fn postpone(&mut self, uid: &str, until: Instant) {
        if let Some(patient) = self.patients.get_mut(uid) {
            patient.due = Some(until);
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
    fn a_pod_is_due_once_for_all_that_is_heard_of_it() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for _ in 0..3 {
            queue.heard(&pod("till", "t"), now);
            queue.heard(&pod("cart", "c"), now);
        }
        assert!(queue.take(now).is_empty(), "more may be heard");
        let later = now + SETTLE;
        assert_eq!(queue.next(), Some(later));
        assert_eq!(names(queue.take(later)), ["cart", "till"]);
        assert_eq!(queue.next(), None);
        assert!(queue.take(later).is_empty());
    }

    #[test]
    fn a_failing_pod_rests_ever_longer_whatever_is_heard_of_it() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        let cart = pod("cart", "c");
        queue.heard(&cart, now);
        now += SETTLE;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert_eq!(names(queue.take(now)), ["cart"]);
            let pause = queue.failed("c", now);
            queue.heard(&cart, now);
            assert!(queue.take(now).is_empty(), "it rests");
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        queue.worked("c");
        assert_eq!(queue.failed("c", now).as_secs(), 1);
    }

    #[test]
    fn a_pod_that_could_not_be_tried_is_due_when_it_is_heard_of() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let cart = pod("cart", "c");
        queue.heard(&cart, now);
        queue.take(now + SETTLE);
        for seconds in [1, 2, 4] {
            assert_eq!(queue.missed("c", now).as_secs(), seconds);
            assert_eq!(queue.next(), Some(now + Duration::from_secs(seconds)));
        }
        queue.heard(&cart, now);
        assert_eq!(queue.next(), Some(now + SETTLE));
    }

    #[test]
    fn a_pod_of_the_same_name_is_another() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.heard(&pod("cart", "first"), now);
        queue.take(now);
        queue.failed("first", now);
        queue.forget("first");
        queue.heard(&pod("cart", "second"), now);
        let due = queue.take(now + SETTLE);
        assert_eq!(due[0].uid, "second");
        assert_eq!(queue.failures("second"), 0);
    }

    #[test]
    fn there_is_an_end_to_what_is_followed() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for number in 0..MOST {
            assert!(queue.heard(&pod("p", &number.to_string()), now));
        }
        assert!(!queue.heard(&pod("p", "one more"), now));
        queue.keep(&[pod("p", "7")]);
        assert_eq!(queue.len(), 1);
    }
}
