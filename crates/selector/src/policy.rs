//! What the operator wants: which selection, and which namespaces stay out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::labels::LabelSelector;
use crate::namespaces::NamespaceSet;
use crate::quoted::Quoted;
use crate::reason::SkipReason;

/// The rules of the decision, apart from the pod.
///
/// The default is selection [`Asm`](SelectionMode::Asm) with `kube-system` excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which conditions a pod must meet.
    pub selection: SelectionMode,
    /// Pods of these namespaces are never redirected.
    pub exclude_namespaces: NamespaceSet,
    /// Where given, only pods of these namespaces can be; exclusion wins over inclusion.
    pub include_namespaces: Option<NamespaceSet>,
    /// Where given, pods of namespaces whose labels match are never redirected.
    pub exclude_namespace_selector: Option<LabelSelector>,
}

/// Which conditions a pod must meet; their order is the order in which they are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectionMode {
    /// The four conditions of the ASM document, the fourth in the sense that Istio gives it, and no
    /// `istio-init` container.
    #[default]
    Asm,
    /// As `Asm`, with the fourth condition exactly as the document prints it.
    AsmLiteral,
    /// What current Istio checks, in its order.
    Istio,
}

/// A name that is no selection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "selection {} is unknown, allowed are `asm`, `asm-literal` and `istio`",
    Quoted(name)
)]
pub struct UnknownSelectionMode {
    /// The name as given.
    pub name: String,
}

impl Policy {
    /// Whether the namespace's name alone keeps its pods out, and why.
    ///
    /// Whoever must ask somebody else for [`PodFacts`](crate::PodFacts) asks this first: a pod that
    /// is out by name needs no facts.
    pub fn exclude_by_name(&self, namespace: &str) -> Option<SkipReason> {
        if let Some(pattern) = self.exclude_namespaces.matching(namespace) {
            return Some(SkipReason::NamespaceExcluded {
                namespace: namespace.to_owned(),
                pattern: pattern.clone(),
            });
        }
        match &self.include_namespaces {
            Some(included) if !included.contains(namespace) => {
                Some(SkipReason::NamespaceNotIncluded {
                    namespace: namespace.to_owned(),
                    included: included.clone(),
                })
            }
            _ => None,
        }
    }

    /// Whether [`select`](crate::select) must be given the labels of the pod's namespace.
    pub fn needs_namespace_labels(&self) -> bool {
        self.exclude_namespace_selector.is_some()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            selection: SelectionMode::default(),
            exclude_namespaces: NamespaceSet::new(["kube-system"])
                .expect("`kube-system` is a namespace's name"),
            include_namespaces: None,
            exclude_namespace_selector: None,
        }
    }
}

impl SelectionMode {
    /// All selections, the default first.
    pub const ALL: [Self; 3] = [Self::Asm, Self::AsmLiteral, Self::Istio];

    /// The name that configuration and flags use.
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
        let found = Self::ALL
            .into_iter()
            .find(|selection| selection.as_str() == name);
        found.ok_or_else(|| UnknownSelectionMode {
            name: name.to_owned(),
        })
    }
}
