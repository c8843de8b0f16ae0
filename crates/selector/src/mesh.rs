//! The meshes, and what the pods of each have in common.

pub(crate) mod istio;
pub(crate) mod kuma;
mod linkerd;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A service mesh whose sidecars are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mesh {
    /// Istio, and meshes with Istio's sidecar such as Alibaba Cloud Service Mesh.
    Istio,
    /// Linkerd.
    Linkerd,
    /// Kuma and Kong Mesh.
    Kuma,
}

/// The names by which the pods of a mesh are recognized.
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
    /// The domains of the annotations that configure a sidecar.
    pub domains: &'static [&'static str],
}

/// A set of meshes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeshSet([bool; Mesh::ALL.len()]);

impl Mesh {
    /// Every mesh.
    pub const ALL: [Self; 3] = [Self::Istio, Self::Linkerd, Self::Kuma];

    /// The name in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Istio => "istio",
            Self::Linkerd => "linkerd",
            Self::Kuma => "kuma",
        }
    }

    /// The names by which its pods are recognized.
    pub fn marks(self) -> &'static Marks {
        match self {
            Self::Istio => &istio::MARKS,
            Self::Linkerd => &linkerd::MARKS,
            Self::Kuma => &kuma::MARKS,
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
