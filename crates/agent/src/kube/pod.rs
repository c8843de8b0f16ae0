//! A pod of this node, reduced to what redirection and repair need.

use std::fmt;
use std::net::IpAddr;

use mesh_cni_netns::ContainerProcess;
use mesh_cni_selector::{ManifestError, PodFacts};
use serde::Deserialize;
use serde_json::Value;

use super::api::Object;
use super::decode::Keep;
use super::pod_fields::POD;

/// The most that is kept of one pod, in bytes. A pod with the settings of Istio's injector has about
/// 6 KiB.
pub(crate) const MAX_FACTS_BYTES: usize = 32 << 10;

/// The most that is kept of one text of a container's status, in bytes.
const MAX_STATUS_TEXT: usize = 1 << 10;

/// The most containers of each kind whose status is kept.
const MAX_CONTAINERS: usize = 64;

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
    #[error("its settings are too large to be kept in memory; an ADD requests them")]
    TooLarge,
}

/// The status of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Container {
    /// Its name, as in the pod's spec.
    pub name: String,
    /// `containerID`, for example `containerd://0123…`; `None` before the container exists.
    pub id: Option<String>,
    /// Its current state.
    pub state: ContainerState,
    /// How its previous run ended.
    pub last_termination: Option<Termination>,
    /// `restartCount`.
    pub restarts: u32,
}

/// The state of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ContainerState {
    /// The kubelet has not reported any.
    #[default]
    Unknown,
    /// It waits to be started, for this reason, for example `CrashLoopBackOff`.
    Waiting(String),
    /// It is running.
    Running,
    /// It has ended.
    Terminated(Termination),
}

/// How a run of a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Termination {
    /// Its exit code.
    pub exit_code: i32,
    /// For example `Error` or `Completed`.
    pub reason: String,
    /// Its termination message.
    pub message: String,
}

impl Pod {
    /// Reads a `v1` Pod, and keeps what every pod may take in memory. It fails only without namespace,
    /// name or UID, which every stored pod has.
    pub fn from_object(object: &Value) -> Result<Self, &'static str> {
        let pod = Self::complete(object)?;
        let bytes = pod.facts.as_ref().map_or(0, PodFacts::memory_bytes);
        Ok(if bytes > MAX_FACTS_BYTES {
            pod.too_large()
        } else {
            pod
        })
    }

    /// Reads a `v1` Pod with its facts, whatever their size.
    fn complete(object: &Value) -> Result<Self, &'static str> {
        let metadata = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
        let name = PodName {
            namespace: metadata("namespace").ok_or("a pod without `metadata.namespace`")?,
            name: metadata("name").ok_or("a pod without `metadata.name`")?,
        };
        let status = PodStatus::deserialize(&object["status"]).unwrap_or_default();
        Ok(Self {
            name,
            uid: metadata("uid").ok_or("a pod without `metadata.uid`")?,
            facts: PodFacts::from_object(object)
                .map(PodFacts::only_mesh_settings)
                .map_err(PodError::from),
            deleting: !object["metadata"]["deletionTimestamp"].is_null(),
            controlled: is_controlled(&object["metadata"]),
            phase: status.phase,
            init_containers: containers(status.init_container_statuses),
            containers: containers(status.container_statuses),
        })
    }

    /// The second UID of a static pod, by which the kubelet and the container runtime know it.
    pub(crate) fn static_uid(&self) -> Option<&str> {
        self.facts.as_ref().ok()?.static_pod_uid.as_deref()
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
        Self(self.0.too_large())
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

/// The part of `status` that repair uses. Redirection does not depend on it, so a status that cannot
/// be decoded counts as empty.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    phase: String,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: String,
    state: StateStatus,
    last_state: StateStatus,
    restart_count: u32,
}

/// One of the three fields is set.
#[derive(Default, Deserialize)]
#[serde(default)]
struct StateStatus {
    waiting: Option<Waiting>,
    running: Option<Value>,
    terminated: Option<Termination>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
}

/// Whether one of `ownerReferences` is a controller.
fn is_controlled(metadata: &Value) -> bool {
    metadata["ownerReferences"]
        .as_array()
        .is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true))
}

fn containers(statuses: Vec<ContainerStatus>) -> Vec<Container> {
    let first = statuses.into_iter().take(MAX_CONTAINERS);
    first.map(container).collect()
}

fn container(status: ContainerStatus) -> Container {
    Container {
        name: short(status.name),
        id: Some(short(status.container_id)).filter(|id| !id.is_empty()),
        state: state(status.state),
        last_termination: status.last_state.terminated.map(termination),
        restarts: status.restart_count,
    }
}

fn state(status: StateStatus) -> ContainerState {
    if let Some(terminated) = status.terminated {
        ContainerState::Terminated(termination(terminated))
    } else if status.running.is_some() {
        ContainerState::Running
    } else if let Some(waiting) = status.waiting {
        ContainerState::Waiting(short(waiting.reason))
    } else {
        ContainerState::Unknown
    }
}

fn termination(termination: Termination) -> Termination {
    Termination {
        exit_code: termination.exit_code,
        reason: short(termination.reason),
        message: short(termination.message),
    }
}

/// The beginning of a long text.
fn short(mut text: String) -> String {
    let end = (0..=MAX_STATUS_TEXT.min(text.len())).rfind(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
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
