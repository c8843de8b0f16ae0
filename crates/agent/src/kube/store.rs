//! The store of pods, shared: who asks waits here for a pod that is not there yet, and who works on
//! pods hears here what changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_cni_selector::PodFacts;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use crate::kube::pod::{Pod, PodName};
use crate::kube::pods::{Changes, Lookup, NamespaceEvent, PodEvent, Pods};

/// How many events a subscriber may be behind before it is told everything anew.
const BACKLOG: usize = 256;

/// The pods of this node, for everyone in the agent.
#[derive(Debug)]
pub struct Directory {
    pods: Mutex<Pods>,
    /// Counts events, so that who waits looks again.
    turns: watch::Sender<u64>,
    changes: broadcast::Sender<Arc<Changes>>,
}

/// What changes, from the moment of subscription on.
#[derive(Debug)]
pub struct Subscription<'a> {
    directory: &'a Directory,
    changes: broadcast::Receiver<Arc<Changes>>,
    /// Everything is told first, and again after too much was missed.
    tell_all: bool,
}

impl Directory {
    /// A directory over that store.
    pub fn new(pods: Pods) -> Self {
        Self {
            pods: Mutex::new(pods),
            turns: watch::Sender::new(0),
            changes: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Takes an event about a pod.
    pub fn apply(&self, event: PodEvent) {
        let changes = self.pods().apply(event);
        if !changes.gone.is_empty() || !changes.now.is_empty() {
            // Without a subscriber there is nobody to tell.
            drop(self.changes.send(Arc::new(changes)));
        }
        self.turn();
    }

    /// Takes an event about a namespace.
    pub fn apply_namespace(&self, event: NamespaceEvent) {
        self.pods().apply_namespace(event);
        self.turn();
    }

    /// Finds a pod now.
    pub fn find(&self, name: &PodName, uid: Option<&str>) -> Lookup {
        self.pods().find(name, uid)
    }

    /// The pod of that name, whichever it is.
    pub fn named(&self, name: &PodName) -> Option<Arc<Pod>> {
        match self.find(name, None) {
            Lookup::Found(pod) | Lookup::Other(pod) => Some(pod),
            Lookup::Unknown => None,
        }
    }

    /// Finds a pod now or as soon as it is told, within `patience`.
    pub async fn wait_for(
        &self,
        name: &PodName,
        uid: Option<&str>,
        patience: Duration,
    ) -> Option<Arc<Pod>> {
        let found = || match self.find(name, uid) {
            Lookup::Found(pod) => Some(pod),
            Lookup::Other(_) | Lookup::Unknown => None,
        };
        self.as_soon_as(found, patience).await
    }

    /// The facts with the labels of the pod's namespace, where a policy asks for them.
    pub async fn complete(&self, facts: &PodFacts, patience: Duration) -> Option<PodFacts> {
        self.as_soon_as(|| self.pods().complete(facts), patience)
            .await
    }

    /// Every pod, by namespace and name.
    pub fn all(&self) -> Vec<Arc<Pod>> {
        self.pods().iter().map(Arc::clone).collect()
    }

    /// How many pods there are.
    pub fn count(&self) -> usize {
        self.pods().len()
    }

    /// Whether labels of namespaces are kept.
    pub fn keeps_namespaces(&self) -> bool {
        self.pods().keeps_namespaces()
    }

    /// Hears every change, beginning with everything that is there.
    pub fn subscribe(&self) -> Subscription<'_> {
        Subscription {
            directory: self,
            changes: self.changes.subscribe(),
            tell_all: true,
        }
    }

    async fn as_soon_as<T>(&self, found: impl Fn() -> Option<T>, patience: Duration) -> Option<T> {
        let mut turns = self.turns.subscribe();
        let look = async {
            loop {
                turns.borrow_and_update();
                if let Some(found) = found() {
                    return Some(found);
                }
                turns.changed().await.ok()?;
            }
        };
        timeout(patience, look).await.ok().flatten()
    }

    fn turn(&self) {
        self.turns
            .send_modify(|turns| *turns = turns.wrapping_add(1));
    }

    fn pods(&self) -> MutexGuard<'_, Pods> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription<'_> {
    /// The next change. Whoever is too slow is told everything that is there, as new; what went
    /// meanwhile is not told then, so a subscriber keeps nothing that only a `gone` would free.
    pub async fn next(&mut self) -> Arc<Changes> {
        loop {
            if std::mem::take(&mut self.tell_all) {
                return self.everything();
            }
            match self.changes.recv().await {
                Ok(changes) => return changes,
                Err(broadcast::error::RecvError::Lagged(_)) => self.tell_all = true,
                // The directory that we borrow holds the sender.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn everything(&mut self) -> Arc<Changes> {
        // From here on; what is told twice is told as it is now.
        self.changes = self.directory.changes.subscribe();
        let gone = Vec::new();
        let now = self.directory.all();
        Arc::new(Changes { gone, now })
    }
}
