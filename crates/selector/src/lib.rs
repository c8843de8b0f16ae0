//! Should this pod's traffic be redirected through its sidecar proxy, and if not, why not?
//!
//! A service mesh with sidecars works by redirecting a pod's traffic to a proxy that runs beside
//! the application. Whether a pod takes part is written in the pod itself: in its namespace, its
//! containers, its labels and annotations. This crate reads these facts and gives one answer with
//! its reason. It does nothing else: no input and output, no clock, no environment; the same facts
//! and the same policy always give the same decision.
//!
//! # Facts in, decision out
//!
//! [`PodFacts`] holds what must be known about a pod. It comes from a manifest
//! ([`PodFacts::from_manifest`]), or as JSON from whoever watches the pods of a node. [`Policy`]
//! holds what the operator wants. [`select`] looks at the conditions of the policy's [`SelectionMode`]
//! one by one, and the first that fails is the [`SkipReason`]; [`conditions`] looks at all of them,
//! for people who want to see the whole table.
//!
//! ```
//! use mesh_cni_selector::{Selection, PodFacts, Policy, SidecarKind, select};
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
//! assert_eq!(select(&facts, &policy)?, Selection::Redirect(SidecarKind::Native));
//!
//! facts.labels.insert("sidecar.istio.io/inject".into(), "false".into());
//! let decision = select(&facts, &policy)?;
//! let reason = decision.reason().expect("the label excludes it");
//! assert_eq!(reason.code(), "injection-disabled");
//! assert_eq!(reason.to_string(), "the pod's label `sidecar.istio.io/inject` is `false`");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is never guessed
//!
//! A policy may exclude namespaces by label. The labels are no part of the pod, so whoever gathers
//! the facts must add them ([`Policy::needs_namespace_labels`]); without them [`select`] is an
//! error ([`MissingFacts`]) and neither a redirect nor a skip. The other way round,
//! [`Policy::exclude_by_name`] decides by the namespace's name alone, before anybody is asked for
//! facts.
//!
//! # Two decisions of our own
//!
//! A pod on the host network is skipped before anything else, in every selection: it has no
//! network of its own, and a redirection would take the node with it. And an init container named
//! `istio-proxy` counts as the proxy only with `restartPolicy: Always`: any other has ended before
//! the application starts, and traffic sent to it would be lost.
#![forbid(unsafe_code)]

mod boolean;
mod checks;
mod facts;
mod istio;
mod labels;
mod manifest;
mod names;
mod namespaces;
mod policy;
mod quoted;
mod reason;
mod select;

pub use facts::{ContainerFacts, PodFacts, Proxy, RestartPolicy, SidecarKind};
pub use labels::{LabelSelector, LabelSelectorError};
pub use manifest::{MAX_MANIFEST_BYTES, ManifestError, ManifestFormat, SyntaxReason};
pub use names::is_dns_subdomain;
pub use namespaces::{NamespacePattern, NamespacePatternError, NamespaceSet};
pub use policy::{Policy, SelectionMode, UnknownSelectionMode};
pub use reason::{ContainerList, InjectSource, SkipReason};
pub use select::{Condition, MissingFacts, Selection, conditions, select};
