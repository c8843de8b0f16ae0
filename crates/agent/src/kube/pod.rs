//! A pod of this node, reduced to what redirection and repair need.

use std::fmt;
use std::net::IpAddr;

use mesh_cni_netns::ContainerProcess;
use mesh_cni_selector::{ManifestError, PodFacts};
use mesh_cni_text::truncated;
use serde_json::Value;

use super::container::{self, Container, PodStatus};
use super::decode::Keep;
use super::object::Object;
use super::pod_fields::POD;

/// The most that is kept of the facts of one pod, in bytes. A pod with the settings of Istio's injector
/// has about 6 KiB.
const MAX_FACTS_BYTES: usize = 32 << 10;

/// The most that is kept of the second UID of a static pod, in bytes.
const MAX_UID: usize = 253;

/// Namespace and name of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub(super) fn facts_bytes(&self) -> usize {
        self.facts.as_ref().map_or(0, PodFacts::memory_bytes)
    }

    /// The pod without what nothing reads of the statuses of its containers. Repair reads those of this
    /// init container.
    #[must_use]
    pub(super) fn only_used_statuses(mut self, init_container: Option<&str>) -> Self {
        for containers in [&mut self.init_containers, &mut self.containers] {
            container::retain_used(containers, init_container);
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
            static_uid: static_uid.map(|uid| truncated(uid, MAX_UID).to_owned()),
            facts: facts.map_err(PodError::from),
            deleting: !object["metadata"]["deletionTimestamp"].is_null(),
            controlled: is_controlled(&object["metadata"]),
            phase: status.phase,
            init_containers: status.init_containers,
            containers: status.containers,
        })
    }

    /// Whether that process runs in the pod, whose second UID is `static_uid`. Only a process whose
    /// control group names no pod is recognized by the ID of its container.
    pub(crate) fn has(&self, process: &ContainerProcess, static_uid: Option<&str>) -> bool {
        if let Some(uid) = &process.pod_uid {
            return *uid == self.uid || Some(uid.as_str()) == static_uid;
        }
        let container_id = process.container_id.as_deref();
        self.all_containers()
            .filter_map(|container| container.id.as_deref()?.split_once("://"))
            .any(|(_runtime, id)| container_id == Some(id))
    }

    /// Whether all of its containers have ended and none starts again.
    pub(crate) fn has_ended(&self) -> bool {
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
pub(crate) struct CompletePod(pub(crate) Pod);

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

/// Whether one of `ownerReferences` is a controller.
fn is_controlled(metadata: &Value) -> bool {
    metadata["ownerReferences"]
        .as_array()
        .is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mesh_cni_netns::ProcessTable;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_process_is_in_the_pod_by_pod_uid_or_container_id() {
        let id = "0a1b2c3d4e5f6071".repeat(4);
        let pod = |container: &str, uid: &str| {
            Pod::from_object(&json!({
                "metadata": {"namespace": "a", "name": "b", "uid": uid},
                "spec": {"containers": [{"name": "x", "image": "none"}]},
                "status": {"containerStatuses": [{"name": "x", "containerID": container}]},
            }))
            .unwrap()
        };
        let proc = tempfile::tempdir().unwrap();
        for (pid, group) in [
            ("3", format!("system.slice/docker-{id}.scope")),
            (
                "4",
                "kubepods/pod5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11/0a".to_owned(),
            ),
            (
                "5",
                "kubepods/pod6c1a9d527a554f0e9b0a2f1f4d3c8e11/0a".to_owned(),
            ),
            (
                "6",
                format!("kubepods/pod0000000e-0a3e-4a52-9d43-2f1a0c7b9e11/{id}"),
            ),
        ] {
            let directory = proc.path().join(pid);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("cgroup"), format!("0::/{group}")).unwrap();
            fs::write(
                directory.join("stat"),
                format!("{pid} (x) S{}", " 1".repeat(20)),
            )
            .unwrap();
        }
        let processes = ProcessTable::read(proc.path()).unwrap();
        let of = |pod: &Pod, static_uid: Option<&str>| -> Vec<u32> {
            processes
                .iter()
                .filter(|process| pod.has(process, static_uid))
                .map(|process| process.pid)
                .collect()
        };
        let uid = "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11";
        let static_uid = Some("6c1a9d527a554f0e9b0a2f1f4d3c8e11");
        let runtime_id = format!("containerd://{id}");
        // The control group of process 6 names another pod.
        assert_eq!(of(&pod(&runtime_id, "c"), None), [3]);
        assert_eq!(of(&pod(&runtime_id, uid), static_uid), [3, 4, 5]);
        assert_eq!(of(&pod("", uid), None), [4]);
        assert_eq!(of(&pod("", "c"), static_uid), [5]);
        for container in ["containerd://", "containerd://0a1b2c3d4e5f6071", &id] {
            assert!(of(&pod(container, "c"), None).is_empty(), "{container}");
        }
    }
}
