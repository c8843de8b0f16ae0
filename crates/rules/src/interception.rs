//! Which traffic of a pod is redirected to its sidecar, in the terms of its mesh.

use std::net::IpAddr;

use mesh_cni_netfilter::{Family, RuleSet};
use mesh_cni_selector::Mesh;

use crate::{ambient, istio, kuma, linkerd};

/// What is redirected to the sidecar of one pod, or to ztunnel, and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interception {
    /// By Istio's sidecar, with the rules of that dialect.
    Istio(istio::Interception, istio::Dialect),
    /// By Linkerd's proxy.
    Linkerd(linkerd::Interception),
    /// By Kuma's sidecar.
    Kuma(kuma::Interception),
    /// By ztunnel.
    Ambient(ambient::Interception),
}

impl Interception {
    /// The mesh.
    pub fn mesh(&self) -> Mesh {
        match self {
            Self::Istio(..) => Mesh::Istio,
            Self::Linkerd(_) => Mesh::Linkerd,
            Self::Kuma(_) => Mesh::Kuma,
            Self::Ambient(_) => Mesh::Ambient,
        }
    }

    /// The families for which rules are written, if the pod has these addresses, in the order of its
    /// interfaces. IPv4 is always the first.
    pub fn families(&self, addresses: &[IpAddr]) -> Vec<Family> {
        match self {
            Self::Istio(interception, _) => interception.families(addresses),
            Self::Linkerd(interception) => interception.families(),
            Self::Kuma(interception) => interception.families(addresses),
            Self::Ambient(interception) => interception.families(addresses),
        }
    }

    /// The rules for one family, in the order in which the mesh writes them.
    pub fn compile(&self, family: Family) -> RuleSet {
        match self {
            Self::Istio(interception, dialect) => istio::compile(interception, *dialect, family),
            Self::Linkerd(interception) => linkerd::compile(interception, family),
            Self::Kuma(interception) => interception.compile(family),
            Self::Ambient(interception) => ambient::compile(interception, family),
        }
    }
}
