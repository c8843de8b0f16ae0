//! The operator's policy: the selection mode and the namespaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::labels::LabelSelector;
use crate::mesh::ambient::AmbientPolicy;
use crate::mesh::{Mesh, MeshSet};
use crate::namespaces::NamespaceSet;
use crate::quoted::Quoted;
use crate::reason::SkipReason;

/// Which pods to redirect.
///
/// The default is Istio with [`SelectionMode::Asm`], and namespace `kube-system` excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The meshes that are served. A pod belongs to the one whose proxy it has, and without any it may be
    /// in ambient mode.
    pub meshes: MeshSet,
    /// Which pods are in ambient mode, if it is served.
    pub ambient: AmbientPolicy,
    /// The conditions that a pod of Istio must meet.
    pub selection: SelectionMode,
    /// Pods of these namespaces are never redirected.
    pub exclude_namespaces: NamespaceSet,
    /// If set, only pods of these namespaces are redirected; exclusion has precedence.
    pub include_namespaces: Option<NamespaceSet>,
    /// If set, pods of namespaces with matching labels are never redirected.
    pub exclude_namespace_selector: Option<LabelSelector>,
}

/// A set of conditions that a pod of Istio must meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectionMode {
    /// The four conditions of the ASM document, the fourth as Istio defines it, and no `istio-init`
    /// container.
    #[default]
    Asm,
    /// As `Asm`, with the fourth condition exactly as the document prints it.
    AsmLiteral,
    /// The conditions of current Istio, in its order.
    Istio,
}

/// A name that is not a selection mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "selection {} is unknown, expected `asm`, `asm-literal` or `istio`",
    Quoted(name)
)]
pub struct UnknownSelectionMode {
    /// The unknown name.
    pub name: String,
}

impl Policy {
    /// The reason to skip every pod of the namespace because of its name.
    ///
    /// Callers for whom [`PodFacts`](crate::PodFacts) are expensive call this first.
    pub fn exclude_by_name(&self, namespace: &str) -> Option<SkipReason> {
        if let Some(pattern) = self.exclude_namespaces.matching(namespace) {
            return Some(SkipReason::NamespaceExcluded {
                namespace: namespace.to_owned(),
                pattern: pattern.clone(),
            });
        }
        let included = self.include_namespaces.as_ref()?;
        (!included.contains(namespace)).then(|| SkipReason::NamespaceNotIncluded {
            namespace: namespace.to_owned(),
            included: included.clone(),
        })
    }

    /// Whether [`select`](crate::select) needs the labels of the pod's namespace.
    pub fn needs_namespace_labels(&self) -> bool {
        self.namespace_label_keys().next().is_some()
    }

    /// The keys of the labels of namespaces that [`select`](crate::select) reads.
    pub fn namespace_label_keys(&self) -> impl Iterator<Item = &str> {
        let excluded = self.exclude_namespace_selector.iter();
        let enabled = self.meshes.contains(Mesh::Ambient).then_some(&self.ambient);
        excluded.flat_map(LabelSelector::keys).chain(
            enabled
                .into_iter()
                .flat_map(AmbientPolicy::namespace_label_keys),
        )
    }

    /// The served meshes with sidecars.
    pub(crate) fn sidecars(&self) -> MeshSet {
        let with_sidecars = |mesh: &Mesh| mesh.marks().is_some();
        self.meshes.iter().filter(with_sidecars).collect()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            meshes: Mesh::Istio.into(),
            ambient: AmbientPolicy::default(),
            selection: SelectionMode::default(),
            exclude_namespaces: NamespaceSet::new(["kube-system"])
                .expect("`kube-system` is a valid namespace name"),
            include_namespaces: None,
            exclude_namespace_selector: None,
        }
    }
}

impl SelectionMode {
    /// All modes, the default first.
    pub const ALL: [Self; 3] = [Self::Asm, Self::AsmLiteral, Self::Istio];

    /// The name in configurations and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asm => "asm",
            Self::AsmLiteral => "asm-literal",
            Self::Istio => "istio",
        }
    }
}

impl fmt::Display for SelectionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SelectionMode {
    type Err = UnknownSelectionMode;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == name)
            .ok_or_else(|| UnknownSelectionMode {
                name: name.to_owned(),
            })
    }
}
