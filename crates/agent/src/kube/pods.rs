//! The pods of this node, with the namespaces if decisions need them, kept current by the events of a
//! watch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_cni_selector::PodFacts;

use mesh_cni_kube::namespace::Namespace;
use mesh_cni_kube::object::Object as _;
use mesh_cni_kube::pod::{Pod, PodError, PodName};

use super::namespaces::{Kept, NamespaceKeys, Namespaces};

/// The facts of pods are kept if they take at most this many bytes.
const SMALL_FACTS_BYTES: usize = 8 << 10;

/// Larger facts are kept only while those of all pods take at most this many bytes. Otherwise they are
/// requested when they are needed.
const MAX_ALL_FACTS_BYTES: usize = 8 << 20;

/// What the settings of the agent read of pods and namespaces. Nothing else is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsedFields {
    /// The labels and annotations of namespaces.
    pub namespaces: NamespaceKeys,
    /// The init containers whose status repair reads.
    pub init_containers: Vec<String>,
}

/// An event about one kind of object, in the order in which the API server returns them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent<O> {
    /// A new list begins. Objects that it does not contain are removed at its end.
    Init,
    /// An object of the list.
    InitApply(O),
    /// The list is complete.
    InitDone,
    /// An object was created or changed.
    Apply(O),
    /// An object was deleted; this is its last known state.
    Delete(O),
}

/// The pods of this node.
#[derive(Debug, Default)]
pub struct Pods {
    by_name: BTreeMap<PodName, Arc<Pod>>,
    listed: BTreeSet<PodName>,
    /// About how many bytes the facts of all pods take.
    facts_bytes: usize,
    used: UsedFields,
    namespaces: Namespaces,
}

/// The result of a search for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The pod.
    Found(Arc<Pod>),
    /// A different pod with the same name.
    Other(Arc<Pod>),
    /// No pod has that name.
    Unknown,
}

/// What an event changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Pods that no longer exist, in their last known state.
    pub deleted: Vec<Arc<Pod>>,
    /// Pods that were created or changed.
    pub applied: Vec<Arc<Pod>>,
}

impl Pods {
    /// No pods. Of those to come, these fields are kept.
    pub fn new(used: UsedFields) -> Self {
        Self {
            used,
            ..Self::default()
        }
    }

    /// Applies an event about a pod. A deletion applies to the pod with that name and UID, so a newer
    /// pod of the same name is kept.
    pub fn apply(&mut self, event: WatchEvent<Pod>) -> Changes {
        match event {
            WatchEvent::Init => {
                self.listed.clear();
                Changes::default()
            }
            WatchEvent::InitApply(pod) => {
                self.listed.insert(pod.name.clone());
                self.insert(pod)
            }
            WatchEvent::InitDone => self.remove_unlisted(),
            WatchEvent::Apply(pod) => self.insert(pod),
            WatchEvent::Delete(pod) => self.remove(&pod),
        }
    }

    /// Applies an event about a namespace.
    pub fn apply_namespace(&mut self, event: WatchEvent<Namespace>) {
        if self.keeps_namespaces() {
            self.namespaces.apply(&self.used.namespaces, event);
        }
    }

    /// Finds a pod by name, and by UID if the caller knows it.
    ///
    /// Without a UID, a pod that is being deleted does not count: the runtime starts no sandbox for
    /// it, so the caller means its successor.
    pub fn find(&self, name: &PodName, uid: Option<&str>) -> Lookup {
        match self.by_name.get(name) {
            None => Lookup::Unknown,
            Some(pod) if uid.map_or(!pod.deleting, |uid| self.is_uid_of(uid, pod)) => {
                Lookup::Found(Arc::clone(pod))
            }
            Some(pod) => Lookup::Other(Arc::clone(pod)),
        }
    }

    /// The pod with that UID: of its own, or else the UID by which the kubelet knows a static pod.
    /// `None` if several pods claim to be that static pod.
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<Pod>> {
        let mut claims = self
            .iter()
            .filter(|pod| pod.static_uid.as_deref() == Some(uid));
        self.with_own_uid(uid)
            .or_else(|| claims.next().filter(|_| claims.next().is_none()))
    }

    /// Whether it is a UID of that pod. The second UID of a static pod does not count if it is
    /// another pod's own: whoever creates a pod can choose it.
    pub fn is_uid_of(&self, uid: &str, pod: &Pod) -> bool {
        pod.uid == uid || pod.static_uid.as_deref() == Some(uid) && self.with_own_uid(uid).is_none()
    }

    fn with_own_uid(&self, uid: &str) -> Option<&Arc<Pod>> {
        self.iter().find(|pod| pod.uid == uid)
    }

    /// Adds the used labels and annotations of the pod's namespace to its facts; `None` if they are not
    /// known yet or not kept. Removes the second UID of a static pod if it is another pod's own.
    pub fn complete(&self, facts: &PodFacts) -> Option<PodFacts> {
        if !self.keeps_namespaces() {
            return Some(self.with_verified_uid(facts));
        }
        match self.namespaces.get(&facts.namespace)? {
            Kept::Whole(namespace) => Some(self.complete_with(facts, namespace.clone())),
            Kept::TooLarge => None,
        }
    }

    /// The same with this namespace.
    pub fn complete_with(&self, facts: &PodFacts, namespace: Namespace) -> PodFacts {
        let used = &self.used.namespaces;
        let namespace = used.only(namespace);
        let mut facts = self.with_verified_uid(facts);
        facts.namespace_labels = used.labels.is_some().then_some(namespace.labels);
        facts.namespace_annotations = used.annotations.is_some().then_some(namespace.annotations);
        facts
    }

    fn with_verified_uid(&self, facts: &PodFacts) -> PodFacts {
        let mut facts = facts.clone();
        facts
            .static_pod_uid
            .take_if(|uid| self.with_own_uid(uid).is_some());
        facts
    }

    /// Whether the namespace exists and is too large to be kept, so that it must be requested.
    pub fn is_large_namespace(&self, name: &str) -> bool {
        matches!(self.namespaces.get(name), Some(Kept::TooLarge))
    }

    /// Whether labels or annotations of namespaces are kept.
    pub fn keeps_namespaces(&self) -> bool {
        self.used.namespaces.are_used()
    }

    /// The number of pods whose facts are too large to be kept.
    pub fn large(&self) -> usize {
        let is_large = |pod: &&Arc<Pod>| pod.facts == Err(PodError::TooLarge);
        self.iter().filter(is_large).count()
    }

    /// Every pod, ordered by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_name.values()
    }

    /// The number of pods.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are no pods.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn insert(&mut self, pod: Pod) -> Changes {
        let previous = self.take(&pod.name);
        let pod = pod.only_used_statuses(&self.used.init_containers);
        let bytes = pod.facts_bytes();
        let is_kept = bytes <= SMALL_FACTS_BYTES || self.facts_bytes + bytes <= MAX_ALL_FACTS_BYTES;
        let pod = Arc::new(if is_kept { pod } else { pod.too_large() });
        self.facts_bytes += pod.facts_bytes();
        self.by_name.insert(pod.name.clone(), Arc::clone(&pod));
        let changed = previous.as_ref() != Some(&pod);
        let replaced = previous.filter(|previous| previous.uid != pod.uid);
        Changes {
            deleted: Vec::from_iter(replaced),
            applied: Vec::from_iter(changed.then_some(pod)),
        }
    }

    fn remove(&mut self, pod: &Pod) -> Changes {
        let current = self.by_name.get(&pod.name);
        let is_current = current.is_some_and(|current| current.uid == pod.uid);
        let removed = is_current.then(|| self.take(&pod.name)).flatten();
        Changes {
            deleted: Vec::from_iter(removed),
            applied: Vec::new(),
        }
    }

    fn remove_unlisted(&mut self) -> Changes {
        let listed = std::mem::take(&mut self.listed);
        let unlisted = self.by_name.keys().filter(|name| !listed.contains(name));
        let unlisted: Vec<_> = unlisted.cloned().collect();
        Changes {
            deleted: unlisted.iter().filter_map(|name| self.take(name)).collect(),
            applied: Vec::new(),
        }
    }

    fn take(&mut self, name: &PodName) -> Option<Arc<Pod>> {
        let pod = self.by_name.remove(name)?;
        self.facts_bytes -= pod.facts_bytes();
        Some(pod)
    }
}
