//! The facts about a pod that decide whether its traffic is redirected.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::manifest::{self, InvalidItem, ManifestError};
use crate::mesh::{Marks, Mesh};
use crate::name_servers::NameServers;

/// The longest value of a variable that is a setting, in bytes. The injector also copies whole
/// objects into variables, which no setting is read from.
const MAX_SETTING_BYTES: usize = 4 << 10;

/// What the keys of the annotations of static pods begin with.
const STATIC_POD_KEYS: &str = "kubernetes.io/config.";

/// The facts about a pod.
///
/// Serialized as JSON, this is a node agent's answer about a pod. Agents and plugins of different
/// versions exchange it, so unknown keys are ignored, and every key except `namespace` and `name`
/// has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFacts {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`, which distinguishes the pod from an earlier one of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The UID that the kubelet and the container runtime use for a static pod; `None` for any other
    /// pod. Only the API server's mirror of a static pod sets it: see
    /// [`from_object`](Self::from_object).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_pod_uid: Option<String>,
    /// `spec.hostNetwork`: the pod has no network namespace of its own.
    #[serde(default)]
    pub host_network: bool,
    /// `spec.hostUsers` is false: the pod has a user namespace of its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub user_namespace: bool,
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
    /// `spec.securityContext.runAsUser`: the user of containers that do not set their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// `spec.securityContext.runAsGroup`: the group of containers that do not set their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// Whether the arguments of the proxy are not known. Its type is then not known either, and a
    /// selection that depends on it fails.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unknown_proxy_type: bool,
    /// `status.podIPs`, or else `status.podIP`. Empty if unknown, for example before the pod's
    /// network is set up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// The servers of the pod's DNS queries, from `spec.dnsPolicy` and `spec.dnsConfig`; only for pods with the proxy of
    /// Kuma.
    #[serde(default, skip_serializing_if = "NameServers::is_unknown")]
    pub name_servers: NameServers,
    /// `metadata.labels` of the pod's namespace; `None` if unknown, which is not the same as a
    /// namespace without labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_labels: Option<BTreeMap<String, String>>,
    /// `metadata.annotations` of the pod's namespace, at least those that a served mesh reads; `None`
    /// if unknown or if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_annotations: Option<BTreeMap<String, String>>,
}

/// One container or init container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFacts {
    /// `name`, unique among the pod's containers of both lists.
    pub name: String,
    /// `args`.
    #[serde(default)]
    pub args: Vec<String>,
    /// The variables of `env` with a value in the pod spec.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The names of the variables of `env` with a `valueFrom`, whose values are not in the pod spec.
    #[serde(default)]
    pub env_from: Vec<String>,
    /// The container's own `securityContext.runAsUser`; the default is [`PodFacts::run_as_user`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// The container's own `securityContext.runAsGroup`; the default is
    /// [`PodFacts::run_as_group`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// The container's own `restartPolicy`.
    #[serde(default)]
    pub restart_policy: RestartPolicy,
}

/// A container's own `restartPolicy`.
///
/// An init container with [`Always`](Self::Always) is a native sidecar: it starts before the
/// regular containers and keeps running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Not set, so the pod's policy applies.
    #[default]
    Inherited,
    /// `Always`.
    Always,
    /// Any other value, such as `OnFailure` or `Never`.
    #[serde(other)]
    Other,
}

/// The container that runs a pod's proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy<'a> {
    /// Which kind of container it is.
    pub kind: SidecarKind,
    /// The container.
    pub container: &'a ContainerFacts,
}

/// Which kind of container runs the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SidecarKind {
    /// One of the pod's regular containers.
    Container,
    /// A native sidecar: an init container with `restartPolicy: Always`.
    Native,
}

impl PodFacts {
    /// Reads a `v1` Pod from YAML, or from JSON if the text starts with `{`.
    ///
    /// A `List` with exactly one Pod is read as that Pod. Fields that are not needed are ignored.
    /// [`namespace_labels`](Self::namespace_labels) and
    /// [`namespace_annotations`](Self::namespace_annotations) are `None`, since a Pod does not contain
    /// them.
    pub fn from_manifest(text: &str) -> Result<Self, ManifestError> {
        manifest::read(text)
    }

    /// Reads all Pods in `text`: a Pod, a `List`, or several YAML or JSON documents of these, of at
    /// most [`MAX_LIST_BYTES`](crate::MAX_LIST_BYTES). Other objects are left out, and an invalid Pod does not affect the others.
    pub fn from_manifests(text: &str) -> Result<Vec<Result<Self, InvalidItem>>, ManifestError> {
        manifest::read_all(text)
    }

    /// Reads a decoded `v1` Pod, such as an item of a list or of a watch.
    ///
    /// Its `kind` is ignored, since the items of a list have none.
    ///
    /// Anyone who may create a pod chooses its annotations, so the annotation
    /// `kubernetes.io/config.hash` counts only in a mirror, which the kubelet creates for each
    /// static pod: with the annotation `kubernetes.io/config.mirror`, and owned by the node that
    /// `spec.nodeName` names.
    pub fn from_object(pod: &Value) -> Result<Self, ManifestError> {
        manifest::object(pod)
    }

    /// Whether these facts are about the pod with this UID, as the container runtime reports it.
    ///
    /// A static pod has two UIDs: that of its mirror in the API server, and
    /// [`static_pod_uid`](Self::static_pod_uid). Facts without a UID match every UID.
    ///
    /// Among several pods, one whose [`uid`](Self::uid) is equal comes before one that matches by
    /// its `static_pod_uid`.
    pub fn is_of(&self, uid: &str) -> bool {
        self.uid.as_deref().is_none_or(|own| own == uid)
            || self.static_pod_uid.as_deref() == Some(uid)
    }

    /// The facts without what no mesh setting is read from: the arguments and variables of other
    /// containers than the mesh's, long values of variables, and the annotations of other domains.
    #[must_use]
    pub fn only_mesh_settings(mut self) -> Self {
        self.annotations
            .retain(|key, _| key.starts_with(STATIC_POD_KEYS) || Mesh::is_annotation_of_any(key));
        for container in self.containers.iter_mut().chain(&mut self.init_containers) {
            let name = &*container.name;
            if of_any_mesh(|marks| [marks.proxy, marks.init].contains(&name)) {
                container
                    .env
                    .retain(|_, value| value.len() <= MAX_SETTING_BYTES);
            } else {
                container.args = Vec::new();
                container.env = BTreeMap::new();
                container.env_from = Vec::new();
            }
        }
        self
    }

    /// About how many bytes the facts take in memory.
    pub fn memory_bytes(&self) -> usize {
        const PAIR: usize = 4 * size_of::<String>();
        let pairs = |map: &BTreeMap<String, String>| -> usize {
            map.iter()
                .map(|(key, value)| PAIR + key.len() + value.len())
                .sum()
        };
        let texts = |list: &[String]| -> usize {
            list.iter()
                .map(|text| size_of::<String>() + text.len())
                .sum()
        };
        let container = |it: &ContainerFacts| {
            size_of::<ContainerFacts>()
                + it.name.len()
                + texts(&it.args)
                + pairs(&it.env)
                + texts(&it.env_from)
        };
        pairs(&self.labels)
            + pairs(&self.annotations)
            + self.containers.iter().map(container).sum::<usize>()
            + self.init_containers.iter().map(container).sum::<usize>()
            + (self.addresses.len() + self.name_servers.len()) * size_of::<IpAddr>()
    }

    /// The proxy of the mesh: the regular container or native sidecar with its name.
    ///
    /// An init container of that name without `restartPolicy: Always` is not a proxy, since it
    /// exits before the regular containers start.
    pub fn proxy(&self, mesh: Mesh) -> Option<Proxy<'_>> {
        let name = mesh.marks()?.proxy;
        self.long_running()
            .find(|(_, container)| container.name == name)
            .map(|(kind, container)| Proxy { kind, container })
    }

    /// The containers that run as long as the pod does: regular ones, then native sidecars.
    pub fn long_running(&self) -> impl Iterator<Item = (SidecarKind, &ContainerFacts)> {
        let native = self
            .init_containers
            .iter()
            .filter(|container| container.restart_policy == RestartPolicy::Always)
            .map(|container| (SidecarKind::Native, container));
        self.containers
            .iter()
            .map(|container| (SidecarKind::Container, container))
            .chain(native)
    }
}

fn of_any_mesh(has: impl Fn(&Marks) -> bool) -> bool {
    Mesh::ALL.into_iter().filter_map(Mesh::marks).any(has)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}
