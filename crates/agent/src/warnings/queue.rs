//! Warnings that wait for their Events. Namespaces take turns, and the one with the most waiting
//! warnings gives way when the queue is full, so none keeps the others from being served.

use std::collections::VecDeque;

use mesh_cni_kube::pod::PodName;

/// The most warnings that wait. One takes about 1 KiB.
const MAX_WAITING: usize = 256;

/// The reason of the Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EventKind {
    RedirectionWarning,
    EnrolmentFailed,
}

/// A warning about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) pod: PodName,
    /// Its UID, as the runtime knows it.
    pub(super) uid: Option<String>,
    pub(super) event: EventKind,
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// The queue, with one list for each namespace that has waiting warnings.
#[derive(Debug, Default)]
pub(super) struct Queue {
    namespaces: VecDeque<VecDeque<Waiting>>,
}

impl Queue {
    /// Adds a warning, unless it waits already. Returns whether a warning was dropped because too
    /// many wait.
    pub(super) fn push(&mut self, new: Waiting) -> bool {
        let is_same = |one: &Waiting| {
            (&one.pod, &one.uid, one.event, one.code) == (&new.pod, &new.uid, new.event, new.code)
        };
        let of_namespace = self
            .namespaces
            .iter_mut()
            .find(|waiting| waiting[0].pod.namespace == new.pod.namespace);
        match of_namespace {
            Some(waiting) if waiting.iter().any(is_same) => return false,
            Some(waiting) => waiting.push_back(new),
            None => self.namespaces.push_back([new].into()),
        }
        let is_full = self.len() > MAX_WAITING;
        if is_full && let Some(longest) = self.namespaces.iter_mut().max_by_key(|list| list.len()) {
            longest.pop_back();
            self.namespaces.retain(|waiting| !waiting.is_empty());
        }
        is_full
    }

    /// The next warning, of the namespace whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let mut waiting = self.namespaces.pop_front()?;
        let next = waiting.pop_front();
        if !waiting.is_empty() {
            self.namespaces.push_back(waiting);
        }
        next
    }

    fn len(&self) -> usize {
        self.namespaces.iter().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(namespace: &str, name: &str) -> Waiting {
        Waiting {
            pod: PodName::new(namespace, name),
            uid: None,
            event: EventKind::RedirectionWarning,
            code: "unknown-value",
            message: String::new(),
        }
    }

    #[test]
    fn a_namespace_with_many_warnings_neither_delays_nor_displaces_another() {
        let mut queue = Queue::default();
        for number in 0..MAX_WAITING {
            assert!(!queue.push(warning("crowded", &format!("pod-{number}"))));
        }
        assert!(queue.push(warning("crowded", "one-more")));
        assert!(
            queue.push(warning("quiet", "a")),
            "one of `crowded` is dropped"
        );
        assert!(queue.push(warning("quiet", "b")));
        assert_eq!(queue.len(), MAX_WAITING);
        let order: Vec<_> = (0..4)
            .map(|_| queue.pop().unwrap().pod.to_string())
            .collect();
        assert_eq!(
            order,
            ["crowded/pod-0", "quiet/a", "crowded/pod-1", "quiet/b"]
        );
    }

    #[test]
    fn many_namespaces_are_limited_too() {
        let mut queue = Queue::default();
        for number in 0..2 * MAX_WAITING {
            queue.push(warning(&format!("ns-{number}"), "pod"));
        }
        assert_eq!(queue.len(), MAX_WAITING);
        assert_eq!(queue.namespaces.len(), MAX_WAITING);
    }

    #[test]
    fn a_warning_waits_once() {
        let mut queue = Queue::default();
        for _ in 0..2 {
            assert!(!queue.push(warning("shop", "cart")));
        }
        let again = Waiting {
            uid: Some("u-2".to_owned()),
            ..warning("shop", "cart")
        };
        queue.push(again.clone());
        assert_eq!(queue.pop(), Some(warning("shop", "cart")));
        assert_eq!(queue.pop(), Some(again), "another pod of the same name");
        assert_eq!(queue.pop(), None);
    }
}
