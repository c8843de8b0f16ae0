//! The meshes, and what the pods of each have in common.

pub(crate) mod ambient;
pub(crate) mod istio;
pub(crate) mod kuma;
mod linkerd;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A service mesh whose pods are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mesh {
    /// Istio, and meshes with Istio's sidecar such as Alibaba Cloud Service Mesh.
    Istio,
    /// Linkerd.
    Linkerd,
    /// Kuma and Kong Mesh.
    Kuma,
    /// Istio's ambient mode: ztunnel, the proxy of the node, serves pods without sidecars.
    Ambient,
}

/// The names by which the pods of a mesh with sidecars are recognized.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marks {
    /// The container that runs the proxy.
    pub proxy: &'static str,
    /// The container that sets up the redirection itself, in pods that do not rely on a CNI plugin.
    pub init: &'static str,
    /// The init container that fails if the redirection is missing.
    pub validation: &'static str,
    /// The exit code with which it fails.
    pub validation_failed: i32,
}

impl Marks {
    /// Those of Istio.
    pub const ISTIO: &'static Self = &istio::MARKS;
    /// Those of Linkerd.
    pub const LINKERD: &'static Self = &linkerd::MARKS;
    /// Those of Kuma.
    pub const KUMA: &'static Self = &kuma::MARKS;
}

/// A set of meshes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeshSet([bool; Mesh::ALL.len()]);

impl Mesh {
    /// Every mesh.
    pub const ALL: [Self; 4] = [Self::Istio, Self::Linkerd, Self::Kuma, Self::Ambient];

    /// The name in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Istio => "istio",
            Self::Linkerd => "linkerd",
            Self::Kuma => "kuma",
            Self::Ambient => "ambient",
        }
    }

    /// Whether an annotation with that key belongs to a mesh, by its domain.
    pub fn is_annotation_of_any(key: &str) -> bool {
        let domain = key.split('/').next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .any(|mesh| mesh.domains().contains(&domain))
    }

    /// The names by which its pods are recognized; `None` if it has no sidecars.
    pub fn marks(self) -> Option<&'static Marks> {
        match self {
            Self::Istio => Some(Marks::ISTIO),
            Self::Linkerd => Some(Marks::LINKERD),
            Self::Kuma => Some(Marks::KUMA),
            Self::Ambient => None,
        }
    }

    /// The domains of the annotations that configure its pods.
    pub(crate) fn domains(self) -> &'static [&'static str] {
        match self {
            Self::Istio => istio::DOMAINS,
            Self::Linkerd => linkerd::DOMAINS,
            Self::Kuma => kuma::DOMAINS,
            Self::Ambient => ambient::DOMAINS,
        }
    }
}

/// The name for people.
impl fmt::Display for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Istio => "Istio",
            Self::Linkerd => "Linkerd",
            Self::Kuma => "Kuma",
            Self::Ambient => "Istio's ambient mode",
        })
    }
}

impl MeshSet {
    /// Whether the mesh is in the set.
    pub fn contains(self, mesh: Mesh) -> bool {
        self.0[mesh as usize]
    }

    /// The meshes of the set, in the order of [`Mesh::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Mesh> + Clone {
        Mesh::ALL
            .into_iter()
            .filter(move |mesh| self.contains(*mesh))
    }

    /// The mesh of a set with exactly one.
    pub fn only(self) -> Option<Mesh> {
        let mut meshes = self.iter();
        meshes.next().filter(|_| meshes.next().is_none())
    }
}

impl From<Mesh> for MeshSet {
    fn from(mesh: Mesh) -> Self {
        Self::from_iter([mesh])
    }
}

impl FromIterator<Mesh> for MeshSet {
    fn from_iter<T: IntoIterator<Item = Mesh>>(meshes: T) -> Self {
        let mut set = Self::default();
        for mesh in meshes {
            set.0[mesh as usize] = true;
        }
        set
    }
}
