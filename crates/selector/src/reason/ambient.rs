//! Why ztunnel does not serve a pod.

use std::fmt;

use super::proxy_names;
use crate::mesh::ambient::ZTUNNEL_LABEL;
use crate::mesh::istio::STATUS;
use crate::mesh::{Mesh, MeshSet};
use crate::quoted::Quoted;

/// Why ztunnel does not serve a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAmbient {
    /// The pod is one of ztunnel's own, which must not be redirected to itself.
    Ztunnel {
        /// Its namespace.
        namespace: String,
    },
    /// The pod has the annotation that Istio's injector adds.
    SidecarInjected,
    /// The pod has a sidecar.
    SidecarPresent {
        /// The mesh of the sidecar.
        mesh: Mesh,
    },
    /// The labels of the pod and its namespace do not enable ambient mode.
    NotEnabled {
        /// The labels that decide, one phrase for each.
        labels: Vec<String>,
        /// The meshes with sidecars that are served too; the pod has no proxy of theirs.
        meshes: MeshSet,
    },
}

impl NotAmbient {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Ztunnel { .. } => "ztunnel",
            Self::SidecarInjected => "sidecar-injected",
            Self::SidecarPresent { .. } => "sidecar-present",
            Self::NotEnabled { .. } => "not-enabled",
        }
    }
}

impl fmt::Display for NotAmbient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ztunnel { namespace } => {
                let (key, value) = ZTUNNEL_LABEL;
                let namespace = Quoted(namespace);
                write!(
                    f,
                    "the pod is ztunnel: it has label `{key}={value}` in namespace {namespace}"
                )
            }
            Self::SidecarInjected => {
                write!(
                    f,
                    "the pod has annotation `{STATUS}`, so a sidecar was injected"
                )
            }
            Self::SidecarPresent { mesh } => {
                let proxy = proxy_names((*mesh).into()).join("");
                write!(f, "the pod has the sidecar `{proxy}` of {mesh}")
            }
            Self::NotEnabled { labels, meshes } => {
                let labels = labels.join(", ");
                write!(
                    f,
                    "no enablement selector of ambient mode matches: {labels}"
                )?;
                if *meshes == MeshSet::default() {
                    return Ok(());
                }
                let names = proxy_names(*meshes).join("` or `");
                write!(f, "; and it has no sidecar `{names}`")
            }
        }
    }
}
