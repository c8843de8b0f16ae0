//! The labels and annotations of namespaces that decisions read, kept current by the events of a watch.

use std::collections::{BTreeMap, BTreeSet};

use mesh_cni_kube::namespace::{Labels, Namespace};

use super::pods::WatchEvent;

/// The annotations of a namespace are kept while those of all namespaces take at most this many bytes.
/// Otherwise they are requested when they are needed.
const MAX_ALL_ANNOTATION_BYTES: usize = 1 << 20;

/// The keys of labels and annotations of namespaces that decisions read. Nothing else is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespaceKeys {
    /// The labels that `exclude_namespace_selector` names; `None` if it is not set.
    pub labels: Option<BTreeSet<String>>,
    /// The annotations that are settings of pods of a served mesh; `None` if there are none.
    pub annotations: Option<BTreeSet<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Namespaces {
    by_name: BTreeMap<String, Kept>,
    listed: BTreeSet<String>,
    annotation_bytes: usize,
}

/// What is known about a namespace.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// Everything that is used of it.
    Whole(Namespace),
    /// It exists, and is too large to be kept.
    TooLarge,
}

impl NamespaceKeys {
    /// Whether decisions need namespaces.
    pub fn are_used(&self) -> bool {
        self.labels.is_some() || self.annotations.is_some()
    }

    /// The namespace with the used labels and annotations only.
    pub(super) fn only(&self, mut namespace: Namespace) -> Namespace {
        retain(&mut namespace.labels, self.labels.as_ref());
        retain(&mut namespace.annotations, self.annotations.as_ref());
        namespace
    }
}

fn retain(texts: &mut Labels, used: Option<&BTreeSet<String>>) {
    texts.retain(|key, _| used.is_some_and(|used| used.contains(key)));
}

impl Namespaces {
    /// What is known about the namespace of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Kept> {
        self.by_name.get(name)
    }

    /// Applies an event.
    pub(super) fn apply(&mut self, used: &NamespaceKeys, event: WatchEvent<Namespace>) {
        match event {
            WatchEvent::Init => self.listed.clear(),
            WatchEvent::InitApply(namespace) => {
                self.listed.insert(namespace.name.clone());
                self.insert(used.only(namespace));
            }
            WatchEvent::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let unlisted = self.by_name.keys().filter(|name| !listed.contains(*name));
                for name in unlisted.cloned().collect::<Vec<_>>() {
                    self.remove(&name);
                }
            }
            WatchEvent::Apply(namespace) => self.insert(used.only(namespace)),
            WatchEvent::Delete(namespace) => self.remove(&namespace.name),
        }
    }

    fn insert(&mut self, namespace: Namespace) {
        let name = namespace.name.clone();
        self.remove(&name);
        let bytes = annotation_bytes(&namespace);
        let kept = if bytes == 0 || self.annotation_bytes + bytes <= MAX_ALL_ANNOTATION_BYTES {
            self.annotation_bytes += bytes;
            Kept::Whole(namespace)
        } else {
            Kept::TooLarge
        };
        self.by_name.insert(name, kept);
    }

    fn remove(&mut self, name: &str) {
        if let Some(Kept::Whole(namespace)) = self.by_name.remove(name) {
            self.annotation_bytes -= annotation_bytes(&namespace);
        }
    }
}

fn annotation_bytes(namespace: &Namespace) -> usize {
    let annotations = namespace.annotations.iter();
    annotations
        .map(|(key, value)| key.len() + value.len())
        .sum()
}
