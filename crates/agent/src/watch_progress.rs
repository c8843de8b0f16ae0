//! Whether the watches of the agent still receive something.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A list and watch of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// The pods of the node.
    Pods,
    /// The namespaces, if a policy needs their labels.
    Namespaces,
}

/// The age at which a watch is stale: its connection ends after half of it without an event, and a
/// working API server sends one every minute.
pub const STALE_AFTER: Duration = Duration::from_secs(300);

/// The progress of each kind of watch.
#[derive(Debug, Default)]
pub struct WatchProgress {
    watches: Mutex<[Watch; 2]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    started: Option<Instant>,
    received: Option<Instant>,
}

impl WatchProgress {
    /// A watch starts, so it should receive something.
    pub fn started(&self, kind: WatchKind) {
        self.watches()[kind as usize].started = Some(Instant::now());
    }

    /// A list is complete, or a watch received an event.
    pub fn received(&self, kind: WatchKind) {
        self.watches()[kind as usize].received = Some(Instant::now());
    }

    /// The time since the watch last received something; `None` before the first time.
    pub fn age(&self, kind: WatchKind) -> Option<Duration> {
        let received = self.watches()[kind as usize].received;
        received.map(|received| received.elapsed())
    }

    /// The age of the oldest watch, if it is stale: since it last received something, or else since it
    /// started. Then the agent answers with facts that may be out of date.
    pub fn stale(&self) -> Option<Duration> {
        let watches = *self.watches();
        let oldest = watches
            .iter()
            .filter_map(|watch| watch.received.or(watch.started))
            .map(|since| since.elapsed())
            .max();
        oldest.filter(|age| *age > STALE_AFTER)
    }

    fn watches(&self) -> MutexGuard<'_, [Watch; 2]> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{CurrentState, Metrics};

    #[test]
    fn a_watch_without_events_becomes_stale() {
        let metrics = Metrics::new();
        let watches = &metrics.watches;
        let set = |kind: WatchKind, age: Duration| {
            watches.watches()[kind as usize].received = Instant::now().checked_sub(age);
        };
        assert_eq!(watches.stale(), None);
        set(WatchKind::Pods, Duration::from_secs(1));
        set(WatchKind::Namespaces, STALE_AFTER / 2);
        assert_eq!(watches.stale(), None);
        let text = || metrics.text(&CurrentState::default());
        assert!(text().contains("mesh_cni_degraded 0"));
        set(WatchKind::Namespaces, STALE_AFTER * 2);
        assert!(watches.stale() >= Some(STALE_AFTER * 2));
        assert!(text().contains("mesh_cni_degraded 1"), "{}", text());
    }

    #[test]
    fn a_watch_that_never_receives_anything_becomes_stale() {
        let watches = WatchProgress::default();
        watches.received(WatchKind::Pods);
        watches.started(WatchKind::Namespaces);
        assert_eq!(watches.stale(), None);
        let long_ago = Instant::now().checked_sub(STALE_AFTER * 2);
        watches.watches()[WatchKind::Namespaces as usize].started = long_ago;
        assert!(watches.stale() >= Some(STALE_AFTER * 2));
        assert_eq!(watches.age(WatchKind::Namespaces), None);
    }
}
