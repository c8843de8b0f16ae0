//! The pods of this node, and the labels of namespaces where a policy asks for them: events in, the
//! asked-for pod out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_cni_selector::PodFacts;

use crate::kube::pod::{Pod, PodName};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// What the API server tells of one kind of objects, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<O> {
    /// A list begins: what it does not name by its end is gone.
    ListBegins,
    /// An object of the list.
    Listed(O),
    /// The list is complete.
    ListEnds,
    /// An object is new, or has changed.
    Applied(O),
    /// The object is gone; this is the last that was known of it.
    Gone(O),
}

/// An event about pods.
pub type PodEvent = Event<Pod>;

/// An event about namespaces.
pub type NamespaceEvent = Event<Namespace>;

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: Labels,
}

/// The pods of this node.
#[derive(Debug, Default)]
pub struct Pods {
    by_name: BTreeMap<PodName, Arc<Pod>>,
    listed: BTreeSet<PodName>,
    /// `None` where no policy asks for labels of namespaces.
    namespaces: Option<Namespaces>,
}

#[derive(Debug, Default)]
struct Namespaces {
    labels: BTreeMap<String, Labels>,
    listed: BTreeSet<String>,
}

/// What is known about a pod that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is there.
    Found(Arc<Pod>),
    /// A pod of that name is there, and it is another one.
    Other(Arc<Pod>),
    /// No pod of that name is there.
    Unknown,
}

impl Pods {
    /// A store without pods; `with_namespaces` where a policy asks for labels of namespaces.
    pub fn new(with_namespaces: bool) -> Self {
        Self {
            namespaces: with_namespaces.then(Namespaces::default),
            ..Self::default()
        }
    }

    /// Takes an event about a pod, and says what it changed. A pod that is gone is known by name and
    /// UID, so that its successor stays.
    pub fn apply(&mut self, event: PodEvent) -> Changes {
        match event {
            Event::ListBegins => self.listed.clear(),
            Event::Listed(pod) => {
                self.listed.insert(pod.name.clone());
                return self.put(pod);
            }
            Event::ListEnds => return self.sweep(),
            Event::Applied(pod) => return self.put(pod),
            Event::Gone(pod) => return self.take(&pod.name, &pod.uid),
        }
        Changes::default()
    }

    /// Takes an event about a namespace.
    pub fn apply_namespace(&mut self, event: NamespaceEvent) {
        let Some(namespaces) = &mut self.namespaces else {
            return;
        };
        match event {
            Event::ListBegins => namespaces.listed.clear(),
            Event::Listed(Namespace { name, labels }) => {
                namespaces.listed.insert(name.clone());
                namespaces.labels.insert(name, labels);
            }
            Event::ListEnds => {
                let listed = std::mem::take(&mut namespaces.listed);
                namespaces.labels.retain(|name, _| listed.contains(name));
            }
            Event::Applied(Namespace { name, labels }) => {
                namespaces.labels.insert(name, labels);
            }
            Event::Gone(Namespace { name, .. }) => {
                namespaces.labels.remove(&name);
            }
        }
    }

    /// Finds a pod by name, and by its UID where the caller knows it.
    ///
    /// Without a UID, a pod that is being deleted is not the one: no sandbox is started for it, so
    /// the caller asks for its successor.
    pub fn find(&self, name: &PodName, uid: Option<&str>) -> Lookup {
        let Some(pod) = self.by_name.get(name) else {
            return Lookup::Unknown;
        };
        let wanted = uid.map_or(!pod.deleting, |uid| pod.is_of(uid));
        if wanted {
            Lookup::Found(Arc::clone(pod))
        } else {
            Lookup::Other(Arc::clone(pod))
        }
    }

    /// The facts of a pod that was found here or fetched, with the labels of its namespace where a
    /// policy asks for them; `None` where these are not known yet.
    pub fn complete(&self, facts: &PodFacts) -> Option<PodFacts> {
        let mut facts = facts.clone();
        if let Some(namespaces) = &self.namespaces {
            facts.namespace_labels = Some(namespaces.labels.get(&facts.namespace)?.clone());
        }
        Some(facts)
    }

    /// Whether labels of namespaces are kept.
    pub fn keeps_namespaces(&self) -> bool {
        self.namespaces.is_some()
    }

    /// Every pod, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_name.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn put(&mut self, pod: Pod) -> Changes {
        let pod = Arc::new(pod);
        let before = self.by_name.insert(pod.name.clone(), Arc::clone(&pod));
        let same = before.as_ref().is_some_and(|before| **before == *pod);
        let replaced = before.filter(|before| before.uid != pod.uid);
        Changes {
            gone: Vec::from_iter(replaced),
            now: if same { Vec::new() } else { vec![pod] },
        }
    }

    fn take(&mut self, name: &PodName, uid: &str) -> Changes {
        let named = self.by_name.get(name).is_some_and(|pod| pod.uid == uid);
        let gone = named.then(|| self.by_name.remove(name)).flatten();
        Changes {
            gone: Vec::from_iter(gone),
            now: Vec::new(),
        }
    }

    fn sweep(&mut self) -> Changes {
        let listed = std::mem::take(&mut self.listed);
        let mut gone = Vec::new();
        self.by_name.retain(|name, pod| {
            let stays = listed.contains(name);
            if !stays {
                gone.push(Arc::clone(pod));
            }
            stays
        });
        let now = Vec::new();
        Changes { gone, now }
    }
}

/// What an event changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Pods that are gone: the last that was known of them.
    pub gone: Vec<Arc<Pod>>,
    /// Pods that are new or different, as they are now.
    pub now: Vec<Arc<Pod>>,
}
