//! What must be known about a pod to decide whether its traffic goes through a proxy.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::istio;
use crate::manifest::{self, ManifestError};

/// The annotation by which the mirror of a static pod tells the UID that the kubelet runs it under.
const STATIC_POD_UID: &str = "kubernetes.io/config.hash";

/// A pod, as far as redirection is concerned.
///
/// As JSON (field names as here) this is what a node agent answers when it is asked for a pod, so
/// readers of any age must get on with writers of any age: unknown fields are ignored, and all but
/// `namespace` and `name` have a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFacts {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`, which tells a pod from an earlier one of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// `spec.hostNetwork`: the pod has no network namespace of its own.
    #[serde(default)]
    pub host_network: bool,
    /// `metadata.labels`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// `spec.containers`, in their order.
    #[serde(default)]
    pub containers: Vec<ContainerFacts>,
    /// `spec.initContainers`, in their order; native sidecars are among them.
    #[serde(default)]
    pub init_containers: Vec<ContainerFacts>,
    /// `spec.securityContext.runAsUser`: the user of containers that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// `spec.securityContext.runAsGroup`: the group of containers that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// `status.podIPs`, or `status.podIP` alone: the addresses of the pod's interfaces, in their
    /// order. Empty where they are not known, as before the pod's network is set up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// `metadata.labels` of the pod's namespace; `None` where nobody looked them up, which is not
    /// the same as a namespace without labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_labels: Option<BTreeMap<String, String>>,
}

/// One container or init container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFacts {
    /// `name`, unique among the pod's containers of both lists.
    pub name: String,
    /// `args`.
    #[serde(default)]
    pub args: Vec<String>,
    /// The variables of `env` whose value stands in the pod itself.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The names of the variables of `env` that have a `valueFrom`: they exist, with a value that
    /// the pod does not tell.
    #[serde(default)]
    pub env_from: Vec<String>,
    /// `securityContext.runAsUser` of the container itself; the pod's, which Kubernetes takes where
    /// there is none, is in [`PodFacts::run_as_user`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// `securityContext.runAsGroup` of the container itself, as with the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// `restartPolicy` of the container itself.
    #[serde(default)]
    pub restart_policy: RestartPolicy,
}

/// A container's own `restartPolicy`.
///
/// An init container with [`Always`](Self::Always) is a native sidecar: it starts before the other
/// containers and stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// The container has none of its own; the pod's applies.
    #[default]
    Inherited,
    /// `Always`.
    Always,
    /// Any other, such as `OnFailure` or `Never`.
    #[serde(other)]
    Other,
}

/// The container that carries a pod's proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy<'a> {
    /// How it stands in the pod.
    pub kind: SidecarKind,
    /// The container itself.
    pub container: &'a ContainerFacts,
}

/// How a sidecar stands in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SidecarKind {
    /// One of the pod's ordinary containers.
    Container,
    /// A native sidecar: an init container with `restartPolicy: Always`.
    Native,
}

impl PodFacts {
    /// The facts in a `v1` Pod, as YAML or as JSON (where the first sign that is not blank is `{`).
    ///
    /// Fields that matter to nobody here are ignored; a field that does matter and has the wrong
    /// type is an error that names it. A `List` that holds exactly one Pod is read as that Pod.
    /// Namespace labels are no part of a Pod, so [`namespace_labels`](Self::namespace_labels) is
    /// `None`.
    pub fn from_manifest(text: &str) -> Result<Self, ManifestError> {
        manifest::read(text)
    }

    /// The facts in a decoded `v1` Pod, such as an item of a list or of a watch.
    ///
    /// Its `kind` is not looked at, since the items of a list carry none.
    pub fn from_object(pod: &Value) -> Result<Self, ManifestError> {
        manifest::object(pod)
    }

    /// Whether these are facts about the pod of that UID, as a container runtime tells it.
    ///
    /// A static pod has two: the kubelet runs it under its own, and the API server knows its mirror
    /// by another, with the kubelet's in the annotation `kubernetes.io/config.hash`. Facts without a
    /// UID are facts about any pod of their name.
    pub fn is_of(&self, uid: &str) -> bool {
        let kubelet = self.annotations.get(STATIC_POD_UID);
        self.uid.as_deref().is_none_or(|own| own == uid) || kubelet.is_some_and(|own| own == uid)
    }

    /// The pod's proxy: the container named `istio-proxy`, ordinary or native sidecar.
    ///
    /// An init container of that name which ends before the pod's own containers start is none.
    pub fn proxy(&self) -> Option<Proxy<'_>> {
        self.long_running()
            .find(|(_, container)| container.name == istio::PROXY_CONTAINER)
            .map(|(kind, container)| Proxy { kind, container })
    }

    /// The containers that run as long as the pod does: ordinary ones, then native sidecars.
    pub fn long_running(&self) -> impl Iterator<Item = (SidecarKind, &ContainerFacts)> {
        let ordinary = self.containers.iter().map(|c| (SidecarKind::Container, c));
        let native = self
            .init_containers
            .iter()
            .filter(|c| c.restart_policy == RestartPolicy::Always);
        ordinary.chain(native.map(|c| (SidecarKind::Native, c)))
    }
}
