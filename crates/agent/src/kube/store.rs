//! The pods of this node, shared within the agent: requests wait for a pod, and repair receives the
//! changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_cni_selector::PodFacts;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use super::pods::{Changes, Lookup, Pods, WatchEvent};
use mesh_cni_kube::namespace::Namespace;
use mesh_cni_kube::pod::{Pod, PodError, PodName};

/// How many changes a subscriber may fall behind before it receives every pod again.
const BACKLOG: usize = 64;

/// The shared pods.
#[derive(Debug)]
pub struct PodStore {
    pods: Mutex<Pods>,
    /// Notifies waiting requests of each event.
    events: watch::Sender<()>,
    changes: broadcast::Sender<Arc<Changes>>,
    /// Notifies subscribers of each event about a namespace.
    namespace_events: watch::Sender<()>,
}

/// The changes since the subscription, starting with every pod.
#[derive(Debug)]
pub struct Subscription<'a> {
    store: &'a PodStore,
    changes: broadcast::Receiver<Arc<Changes>>,
    /// The next change contains every pod: at the start, and after changes were missed.
    restart: bool,
}

impl PodStore {
    /// Shares these pods.
    pub fn new(pods: Pods) -> Self {
        Self {
            pods: Mutex::new(pods),
            events: watch::Sender::new(()),
            changes: broadcast::Sender::new(BACKLOG),
            namespace_events: watch::Sender::new(()),
        }
    }

    /// Applies an event about a pod.
    pub fn apply(&self, event: WatchEvent<Pod>) {
        let changes = self.pods().apply(event);
        if changes != Changes::default() {
            // It fails if nothing is subscribed.
            drop(self.changes.send(Arc::new(changes)));
        }
        self.events.send_replace(());
    }

    /// Applies an event about a namespace.
    pub fn apply_namespace(&self, event: WatchEvent<Namespace>) {
        self.pods().apply_namespace(event);
        self.events.send_replace(());
        self.namespace_events.send_replace(());
    }

    /// Finds a pod.
    pub fn find(&self, name: &PodName, uid: Option<&str>) -> Lookup {
        self.pods().find(name, uid)
    }

    /// The pod with that name, even if it is being deleted.
    pub fn named(&self, name: &PodName) -> Option<Arc<Pod>> {
        match self.find(name, None) {
            Lookup::Found(pod) | Lookup::Other(pod) => Some(pod),
            Lookup::Unknown => None,
        }
    }

    /// The only pod with that UID.
    pub fn by_uid(&self, uid: &str) -> Option<Arc<Pod>> {
        self.pods().by_uid(uid).map(Arc::clone)
    }

    /// Whether it is a UID of that pod, and not another pod's own.
    pub fn is_uid_of(&self, uid: &str, pod: &Pod) -> bool {
        self.pods().is_uid_of(uid, pod)
    }

    /// The UID by which the kubelet knows that static pod, if no other pod has it.
    pub(crate) fn static_uid(&self, pod: &Pod) -> Option<String> {
        let uid = pod.static_uid.as_deref()?;
        let found = self.by_uid(uid)?;
        (found.uid == pod.uid).then(|| uid.to_owned())
    }

    /// Finds a pod, or waits for it until the timeout.
    pub async fn wait_for(
        &self,
        name: &PodName,
        uid: Option<&str>,
        wait: Duration,
    ) -> Option<Arc<Pod>> {
        let find = || match self.find(name, uid) {
            Lookup::Found(pod) => Some(pod),
            Lookup::Other(_) | Lookup::Unknown => None,
        };
        self.retry_on_events(find, wait).await
    }

    /// Adds what decisions need of the pod's namespace to its facts, or waits for it until the timeout.
    pub async fn complete(&self, facts: &PodFacts, wait: Duration) -> Option<PodFacts> {
        self.retry_on_events(|| self.pods().complete(facts), wait)
            .await
    }

    /// The same without waiting.
    pub fn try_complete(&self, facts: &PodFacts) -> Option<PodFacts> {
        self.pods().complete(facts)
    }

    /// Adds what decisions need of this namespace to the facts about a pod in it.
    pub fn complete_with(&self, facts: &PodFacts, namespace: Namespace) -> PodFacts {
        self.pods().complete_with(facts, namespace)
    }

    /// Every pod, ordered by namespace and name.
    pub fn all(&self) -> Vec<Arc<Pod>> {
        self.pods().iter().map(Arc::clone).collect()
    }

    /// Whether the namespace is too large to be kept.
    pub(crate) fn is_large_namespace(&self, name: &str) -> bool {
        self.pods().is_large_namespace(name)
    }

    /// Whether the settings of a pod must be requested, because they or those of its namespace are too
    /// large to be kept.
    pub fn must_request(&self, pod: &Pod) -> bool {
        pod.facts == Err(PodError::TooLarge) || self.pods().is_large_namespace(&pod.name.namespace)
    }

    /// These pods with what is known of their namespaces.
    pub(crate) fn with_namespaces(&self, listed: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
        let pods = self.pods();
        let complete = |pod: &Arc<Pod>| {
            let facts = match pods.complete(pod.facts.as_ref().ok()?) {
                Some(facts) => Ok(facts),
                None if pods.is_large_namespace(&pod.name.namespace) => Err(PodError::TooLarge),
                None => return None,
            };
            let mut completed = Pod::clone(pod);
            completed.facts = facts;
            Some(Arc::new(completed))
        };
        listed
            .iter()
            .map(|pod| complete(pod).unwrap_or_else(|| Arc::clone(pod)))
            .collect()
    }

    /// The number of pods.
    pub fn count(&self) -> usize {
        self.pods().len()
    }

    /// The number of pods whose facts are too large to be kept.
    pub fn large(&self) -> usize {
        self.pods().large()
    }

    /// Whether labels or annotations of namespaces are kept.
    pub fn keeps_namespaces(&self) -> bool {
        self.pods().keeps_namespaces()
    }

    /// Receives every change, starting with every pod.
    pub fn subscribe(&self) -> Subscription<'_> {
        Subscription {
            store: self,
            changes: self.changes.subscribe(),
            restart: true,
        }
    }

    /// Receives a notification of each event about a namespace.
    pub(crate) fn namespace_events(&self) -> watch::Receiver<()> {
        self.namespace_events.subscribe()
    }

    async fn retry_on_events<T>(
        &self,
        attempt: impl Fn() -> Option<T>,
        wait: Duration,
    ) -> Option<T> {
        let mut events = self.events.subscribe();
        let attempts = async {
            loop {
                events.borrow_and_update();
                if let Some(found) = attempt() {
                    return Some(found);
                }
                events.changed().await.ok()?;
            }
        };
        timeout(wait, attempts).await.ok().flatten()
    }

    fn pods(&self) -> MutexGuard<'_, Pods> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription<'_> {
    /// The next change. A subscriber that is too slow receives every pod as applied and misses the
    /// deletions, so it must compare what it keeps with [`PodStore::all`].
    pub async fn next(&mut self) -> Arc<Changes> {
        loop {
            if std::mem::take(&mut self.restart) {
                self.changes = self.store.changes.subscribe();
                return Arc::new(Changes {
                    deleted: Vec::new(),
                    applied: self.store.all(),
                });
            }
            match self.changes.recv().await {
                Ok(changes) => return changes,
                Err(broadcast::error::RecvError::Lagged(_)) => self.restart = true,
                // The store, which is borrowed, has the sender.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
