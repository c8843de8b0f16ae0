//! A pod of this node, reduced to what redirection and repair need.

use std::fmt;
use std::net::IpAddr;

use mesh_cni_selector::{ManifestError, PodFacts};
use mesh_cni_text::truncated;
use serde_json::Value;

use crate::container::{self, Container, PodStatus};
use crate::decode::Keep;
use crate::object::Object;
use crate::pod_fields::POD;

/// The most that is kept of the facts of one pod, in bytes. A pod with the settings of Istio's injector
/// has about 6 KiB.
const MAX_FACTS_BYTES: usize = 32 << 10;

/// The most that is kept of the second UID of a static pod, and of other names, in bytes.
const MAX_NAME: usize = 253;

/// The annotation of pods that ztunnel serves.
const REDIRECTION: &str = "ambient.istio.io/redirection";

/// Namespace and name of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodName {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// A pod as the API server returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pod {
    /// Its name.
    pub name: PodName,
    /// `metadata.uid`.
    pub uid: String,
    /// The facts that decide about redirection, or why the pod cannot be decoded.
    pub facts: Result<PodFacts, PodError>,
    /// The second UID of a static pod, by which the kubelet and the container runtime know it.
    pub static_uid: Option<String>,
    /// `spec.serviceAccountName`; empty if it is not set.
    pub service_account: String,
    /// The annotation `ambient.istio.io/redirection`, which an agent writes.
    pub redirection: Option<String>,
    /// Whether it is being deleted: `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Whether it has a controller, which replaces it when it is deleted.
    pub controlled: bool,
    /// `status.phase`, for example `Running`; empty before the kubelet sets it.
    pub phase: String,
    /// `status.initContainerStatuses`, in their order.
    pub init_containers: Vec<Container>,
    /// `status.containerStatuses`, in their order.
    pub containers: Vec<Container>,
}

/// Why there are no facts about a known pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PodError {
    /// The pod cannot be decoded.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The facts are too large to be kept for every pod; they are requested when they are needed.
    #[error(
        "its settings are too large to be kept in memory; they are requested when they are needed"
    )]
    TooLarge,
    /// The pod has more values than are decoded.
    #[error("it has too many variables, arguments or other values to be read")]
    TooManyValues,
    /// The facts were requested, and the response cannot be decoded.
    #[error("{0}")]
    Unreadable(String),
    /// The facts were requested, and the request failed.
    #[error("its settings cannot be requested: {0}")]
    Request(String),
}

impl Pod {
    /// Reads a `v1` Pod, and keeps what every pod may take in memory. It fails only without namespace,
    /// name or UID, which every stored pod has.
    pub fn from_object(object: &Value) -> Result<Self, &'static str> {
        let pod = Self::complete(object)?;
        Ok(if pod.facts_bytes() > MAX_FACTS_BYTES {
            pod.too_large()
        } else {
            pod
        })
    }

    /// About how many bytes its facts take in memory.
    pub fn facts_bytes(&self) -> usize {
        self.facts.as_ref().map_or(0, PodFacts::memory_bytes)
    }

    /// The pod without what nothing reads of the statuses of its containers. Repair reads those of these
    /// init containers.
    #[must_use]
    pub fn only_used_statuses(mut self, init_containers: &[String]) -> Self {
        for containers in [&mut self.init_containers, &mut self.containers] {
            container::retain_used(containers, init_containers);
        }
        self
    }

    /// Reads a `v1` Pod with its facts, whatever their size.
    fn complete(object: &Value) -> Result<Self, &'static str> {
        let metadata = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
        let name = PodName {
            namespace: metadata("namespace").ok_or("a pod without `metadata.namespace`")?,
            name: metadata("name").ok_or("a pod without `metadata.name`")?,
        };
        let status = PodStatus::from_object(object);
        let facts = PodFacts::from_object(object).map(PodFacts::only_mesh_settings);
        let static_uid = facts
            .as_ref()
            .ok()
            .and_then(|facts| facts.static_pod_uid.as_deref());
        Ok(Self {
            name,
            uid: metadata("uid").ok_or("a pod without `metadata.uid`")?,
            static_uid: static_uid.map(|uid| truncated(uid, MAX_NAME).to_owned()),
            facts: facts.map_err(PodError::from),
            service_account: limited(&object["spec"]["serviceAccountName"]).unwrap_or_default(),
            redirection: limited(&object["metadata"]["annotations"][REDIRECTION]),
            deleting: !object["metadata"]["deletionTimestamp"].is_null(),
            controlled: is_controlled(&object["metadata"]),
            phase: status.phase,
            init_containers: status.init_containers,
            containers: status.containers,
        })
    }

    /// Whether all of its containers have ended and none starts again.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Its addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        self.facts.as_ref().map_or(&[], |facts| &facts.addresses)
    }

    /// Every container's status, those of init containers first.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }
}

impl PodName {
    /// The pod with that namespace and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// A pod with its facts, whatever their size, for one request.
pub struct CompletePod(pub Pod);

impl Object for Pod {
    const KEEP: &'static Keep = &POD;

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        Self::from_object(object)
    }

    fn too_large(self) -> Self {
        let facts = Err(PodError::TooLarge);
        Self { facts, ..self }
    }
}

impl Object for CompletePod {
    const KEEP: &'static Keep = &POD;

    fn too_large(self) -> Self {
        let facts = Err(PodError::TooManyValues);
        Self(Pod { facts, ..self.0 })
    }

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        Pod::complete(object).map(Self)
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A name, and of a text that is too long for one the beginning.
fn limited(value: &Value) -> Option<String> {
    Some(truncated(value.as_str()?, MAX_NAME).to_owned())
}

/// Whether one of `ownerReferences` is a controller.
fn is_controlled(metadata: &Value) -> bool {
    metadata["ownerReferences"]
        .as_array()
        .is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true))
}
