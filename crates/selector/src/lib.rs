//! Decides whether a pod's traffic must be redirected through its sidecar proxy, and reports why.
//!
//! [`PodFacts`] contains the facts about a pod. Read it from a manifest with
//! [`PodFacts::from_manifest`], or as JSON from a program that watches pods. [`Policy`] contains
//! the operator's settings. [`select`] evaluates the conditions of the policy's [`SelectionMode`]
//! in order; the first that fails is the [`SkipReason`]. [`conditions`] evaluates all of them.
//!
//! The crate does no I/O, so the same facts and policy always give the same [`Selection`].
//!
//! ```
//! use mesh_cni_selector::{Mesh, PodFacts, Policy, Selection, SidecarKind, select};
//!
//! let pod = "
//! apiVersion: v1
//! kind: Pod
//! metadata:
//!   name: reviews
//!   labels: {sidecar.istio.io/inject: 'true'}
//! spec:
//!   initContainers: [{name: istio-proxy, restartPolicy: Always}]
//!   containers: [{name: reviews}]
//! ";
//! let mut facts = PodFacts::from_manifest(pod)?;
//! let policy = Policy::default();
//! let through = Selection::Redirect { mesh: Mesh::Istio, sidecar: SidecarKind::Native };
//! assert_eq!(select(&facts, &policy)?, through);
//!
//! facts.labels.insert("sidecar.istio.io/inject".into(), "false".into());
//! let selection = select(&facts, &policy)?;
//! let reason = selection.reason().expect("the label excludes the pod");
//! assert_eq!(reason.code(), "injection-disabled");
//! assert_eq!(reason.to_string(), "the pod's label `sidecar.istio.io/inject` is `false`");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Namespaces
//!
//! [`Policy::exclude_by_name`] decides by the namespace's name alone, without facts. A policy can
//! also exclude namespaces by label. A Pod does not contain the labels of its namespace, so the
//! caller must add them if [`Policy::needs_namespace_labels`]. Without them, [`select`] fails with
//! [`MissingFacts`] instead of guessing.
//!
//! # Meshes
//!
//! A pod belongs to the served mesh ([`Policy::meshes`]) whose proxy it has. With the proxies of
//! several served meshes it is refused ([`SelectError::SeveralMeshes`]), unless Istio's is a gateway.
//!
//! A pod without a sidecar can be in Istio's ambient mode ([`Selection::Enrol`]): an
//! [`EnablementSelector`] matches its labels and those of its namespace.
//!
//! # Additions to the ASM document and to the meshes
//!
//! - A pod on the host network is skipped first: rules in the node's network namespace would
//!   cut off the node.
//! - An init container with the name of a proxy is one only with `restartPolicy: Always`. Any other
//!   exits before the application starts, so redirected traffic would be lost.
#![forbid(unsafe_code)]

mod boolean;
mod checks;
mod facts;
mod labels;
mod manifest;
mod mesh;
mod name_servers;
mod names;
mod namespaces;
mod policy;
mod quoted;
mod reason;
mod select;

pub use facts::{ContainerFacts, PodFacts, Proxy, RestartPolicy, SidecarKind};
pub use labels::{LabelSelector, LabelSelectorError, SelectorObjectError};
pub use manifest::{
    InvalidItem, MAX_LIST_BYTES, MAX_MANIFEST_BYTES, ManifestError, ManifestFormat, SyntaxReason,
    annotation_document, proxy_variables,
};
pub use mesh::ambient::{AmbientPolicy, EnablementSelector};
pub use mesh::{Marks, Mesh, MeshSet};
pub use name_servers::NameServers;
pub use names::is_dns_subdomain;
pub use namespaces::{NamespacePattern, NamespacePatternError, NamespaceSet};
pub use policy::{Policy, SelectionMode, UnknownSelectionMode};
pub use reason::{ContainerList, InjectSource, ModeSource, NotAmbient, SkipReason};
pub use select::{Condition, MissingFacts, SelectError, Selection, conditions, select};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
