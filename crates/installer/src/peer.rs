//! The CNI plugins of other projects that redirect the pods of a mesh which we may serve too, and their
//! entries in lists.

mod translate;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use mesh_cni_plan::{MeshConf, PLUGIN_TYPE, Profile};
use mesh_cni_spec::{ConfList, plugin_type};
use serde_json::Value;

use crate::nested::nests;
use crate::{ConfFile, ConfName, NodeState};

pub(crate) use translate::entry_with;

/// A CNI plugin of another project that redirects the pods of a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Istio CNI.
    IstioCni,
    /// The plugin of Linkerd's chart `linkerd2-cni`.
    LinkerdCni,
    /// The plugin of Kuma and Kong Mesh.
    KumaCni,
}

/// A text that is not the name of a [`Peer`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown plugin `{0}`, expected `istio-cni`, `linkerd-cni` or `kuma-cni`")]
pub struct UnknownPeer(pub String);

impl Peer {
    /// Every peer.
    pub const ALL: [Self; 3] = [Self::IstioCni, Self::LinkerdCni, Self::KumaCni];

    /// `type` of its entry, and its binary's name.
    pub fn plugin_type(self) -> &'static str {
        match self {
            Self::IstioCni => "istio-cni",
            Self::LinkerdCni => "linkerd-cni",
            Self::KumaCni => "kuma-cni",
        }
    }

    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::IstioCni => "Istio CNI",
            Self::LinkerdCni => "Linkerd CNI",
            Self::KumaCni => "Kuma CNI",
        }
    }

    /// The name of the kubeconfig with a service account's token that it keeps in the directory of
    /// network configurations and reads for each pod. Istio CNI asks its agent instead.
    pub fn kubeconfig(self) -> Option<&'static str> {
        match self {
            Self::IstioCni => None,
            Self::LinkerdCni => Some("ZZZ-linkerd-cni-kubeconfig"),
            Self::KumaCni => Some("ZZZ-kuma-cni-kubeconfig"),
        }
    }

    /// The field of a list that keeps the replaced entry, so that replacing is a single edit. Runtimes
    /// ignore unknown fields of a list.
    fn kept_in(self) -> &'static str {
        match self {
            Self::IstioCni => "mesh-cni/replaced",
            Self::LinkerdCni => "mesh-cni/replaced-linkerd-cni",
            Self::KumaCni => "mesh-cni/replaced-kuma-cni",
        }
    }

    /// Whether an entry with this configuration is for pods of the same mesh.
    pub(crate) fn is_rival_of(self, conf: &MeshConf) -> bool {
        let profiles: &[Profile] = match self {
            Self::IstioCni => &[Profile::Asm, Profile::Istio, Profile::Ambient],
            Self::LinkerdCni => &[Profile::Linkerd],
            Self::KumaCni => &[Profile::Kuma],
        };
        conf.profile
            .iter()
            .any(|profile| profiles.contains(&profile))
    }

    /// Whether this is its entry.
    pub(crate) fn is_entry(self, plugin: &Value) -> bool {
        plugin_type(plugin) == Some(self.plugin_type())
    }

    /// Whether the list has its entry among its own plugins.
    pub(crate) fn is_in(self, list: &ConfList) -> bool {
        list.contains(self.plugin_type())
    }

    /// Whether a configuration has its entry at any depth.
    pub(crate) fn is_active_in(self, conf: &ConfFile) -> bool {
        conf.list().is_ok_and(|list| self.is_in(&list)) || nests(conf, self.plugin_type())
    }

    /// Whether the configuration is a network of its own, as for Multus.
    pub(crate) fn is_alone_in(self, conf: &ConfFile) -> bool {
        conf.list().is_ok_and(|list| {
            let mut plugins = list.plugins().iter();
            !list.plugins().is_empty() && plugins.all(|plugin| self.is_entry(plugin))
        })
    }

    /// Its entry in the list.
    pub(crate) fn entry_of(self, list: &ConfList) -> Option<&Value> {
        list.plugins().iter().find(|plugin| self.is_entry(plugin))
    }

    /// Its replaced entry, as far as other programs have not changed it.
    pub(crate) fn kept_entry_of(self, list: &ConfList) -> Option<&Value> {
        list.field(self.kept_in())
            .filter(|kept| self.is_entry(kept))
    }

    /// Discards its replaced entry; `false` if there is none.
    pub(crate) fn forget(self, list: &mut ConfList) -> bool {
        list.remove_field(self.kept_in()).is_some()
    }

    /// Replaces its entry by `ours`, and keeps it in the list.
    pub(crate) fn replace(self, list: &mut ConfList, ours: &Value) {
        list.remove(PLUGIN_TYPE);
        list.set_aside(self.plugin_type(), ours, self.kept_in())
            .expect("`Entry` checks our entry");
    }

    /// Restores its replaced entry in place of ours, or at the end if ours is missing. Does nothing if
    /// it was not replaced.
    pub(crate) fn restore(self, list: &mut ConfList) {
        list.restore(self.kept_in(), PLUGIN_TYPE);
    }

    /// The node's configuration with its entry, at any depth, of those up to `last` in the order of names:
    /// a runtime does not load later ones.
    pub(crate) fn active_in<'a>(
        self,
        state: &'a NodeState,
        last: Option<&ConfName>,
    ) -> Option<&'a ConfFile> {
        let loaded = |conf: &&ConfFile| last.is_none_or(|last| conf.name <= *last);
        let mut confs = state.confs.iter().filter(loaded);
        confs.find(|conf| self.is_active_in(conf))
    }
}

/// Whether this is a field that keeps a replaced entry, which is not a configuration.
pub(crate) fn keeps_entry(field: &str) -> bool {
    Peer::ALL.into_iter().any(|peer| peer.kept_in() == field)
}

/// The names of peers in a sentence.
pub(crate) fn names(peers: &BTreeSet<Peer>) -> String {
    let names: Vec<_> = peers.iter().map(|peer| peer.plugin_type()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plugin_type())
    }
}

impl FromStr for Peer {
    type Err = UnknownPeer;

    fn from_str(name: &str) -> Result<Self, UnknownPeer> {
        let mut all = Self::ALL.into_iter();
        all.find(|peer| peer.plugin_type() == name)
            .ok_or_else(|| UnknownPeer(name.to_owned()))
    }
}
