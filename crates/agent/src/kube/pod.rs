//! A pod of this node, with no more of it than is needed: what redirection asks, and what repair
//! must see.

use std::fmt;

use mesh_cni_netns::ContainerProcess;
use mesh_cni_selector::{ManifestError, PodFacts};
use serde::Deserialize;
use serde_json::Value;

/// Namespace and name of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodName {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// A pod as the API server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pod {
    /// Its name.
    pub name: PodName,
    /// `metadata.uid`.
    pub uid: String,
    /// What redirection asks, or why the pod cannot be read; such a pod is never redirected by
    /// guess.
    pub facts: Result<PodFacts, ManifestError>,
    /// It is being deleted: `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// A controller made it, and makes another where it goes.
    pub controlled: bool,
    /// `status.phase`, such as `Pending` or `Running`; empty where the kubelet has said nothing.
    pub phase: String,
    /// `status.podIPs`.
    pub addresses: Vec<String>,
    /// `status.initContainerStatuses`, in their order.
    pub init_containers: Vec<Container>,
    /// `status.containerStatuses`, in their order.
    pub containers: Vec<Container>,
}

/// What the kubelet says of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Container {
    /// Its name, as in the pod's spec.
    pub name: String,
    /// `containerID`, such as `containerd://0123…`; `None` before it was made.
    pub id: Option<String>,
    /// What it does now.
    pub state: ContainerState,
    /// How its run before this one ended.
    pub last_termination: Option<Termination>,
    /// How often it was started again.
    pub restarts: u32,
}

/// What a container does now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ContainerState {
    /// The kubelet has said nothing.
    #[default]
    Unknown,
    /// It does not run yet, or not again; the reason is one word, such as `CrashLoopBackOff`.
    Waiting(String),
    /// It runs.
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
    /// One word, such as `Error` or `Completed`.
    pub reason: String,
    /// What it left as its termination message.
    pub message: String,
}

impl Pod {
    /// Reads a `v1` Pod, decoded from JSON. Only one without namespace, name or UID is refused, as
    /// none that an API server has stored is.
    pub fn from_object(object: &Value) -> Result<Self, &'static str> {
        let metadata = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
        let name = PodName {
            namespace: metadata("namespace").ok_or("a pod without `metadata.namespace`")?,
            name: metadata("name").ok_or("a pod without `metadata.name`")?,
        };
        let status = PodStatus::deserialize(&object["status"]).unwrap_or_default();
        Ok(Self {
            name,
            uid: metadata("uid").ok_or("a pod without `metadata.uid`")?,
            facts: PodFacts::from_object(object),
            deleting: !object["metadata"]["deletionTimestamp"].is_null(),
            controlled: is_controlled(&object["metadata"]),
            phase: status.phase,
            addresses: status.pod_ips.into_iter().map(|ip| ip.ip).collect(),
            init_containers: containers(status.init_container_statuses),
            containers: containers(status.container_statuses),
        })
    }

    /// Whether this is the pod of that UID, as a container runtime tells it.
    pub fn is_of(&self, uid: &str) -> bool {
        match &self.facts {
            Ok(facts) => facts.is_of(uid),
            Err(_) => self.uid == uid,
        }
    }

    /// Whether that process of the node runs in the pod, by its UID or by the ID of a container.
    pub(crate) fn has(&self, process: &ContainerProcess) -> bool {
        let uid = process.pod_uid.as_deref();
        let id = process.container_id.as_deref();
        let own_id = |it: &Container| {
            let own = it.id.as_deref().and_then(|id| id.split_once("://"));
            own.is_some_and(|(_runtime, own)| id == Some(own))
        };
        uid.is_some_and(|uid| self.is_of(uid)) || self.all_containers().any(own_id)
    }

    /// Every container's status, those of init containers first.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// `status`, as far as it is read. What it says helps repair; redirection asks nothing of it, so a
/// status that cannot be read counts as none.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    phase: String,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct PodIp {
    ip: String,
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

/// One of three, as Kubernetes writes a union.
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
    let owners = metadata["ownerReferences"].as_array();
    let mut owners = owners.into_iter().flatten();
    owners.any(|owner| owner["controller"] == true)
}

fn containers(statuses: Vec<ContainerStatus>) -> Vec<Container> {
    statuses.into_iter().map(container).collect()
}

fn container(status: ContainerStatus) -> Container {
    Container {
        name: status.name,
        id: Some(status.container_id).filter(|id| !id.is_empty()),
        state: state(status.state),
        last_termination: status.last_state.terminated,
        restarts: status.restart_count,
    }
}

fn state(status: StateStatus) -> ContainerState {
    if let Some(termination) = status.terminated {
        ContainerState::Terminated(termination)
    } else if status.running.is_some() {
        ContainerState::Running
    } else if let Some(waiting) = status.waiting {
        ContainerState::Waiting(waiting.reason)
    } else {
        ContainerState::Unknown
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mesh_cni_netns::ProcessTable;
    use serde_json::json;

    use super::*;

    #[test]
    fn processes_belong_to_the_pod_by_its_uid_or_by_a_container_id() {
        let id = "0a1b2c3d4e5f6071".repeat(4);
        let pod = |container: &str, uid: &str| {
            Pod::from_object(&json!({
                "metadata": {
                    "namespace": "a", "name": "b", "uid": uid,
                    "annotations": {"kubernetes.io/config.hash": "6c1a9d527a554f0e9b0a2f1f4d3c8e11"},
                },
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
        ] {
            fs::create_dir(proc.path().join(pid)).unwrap();
            fs::write(proc.path().join(pid).join("cgroup"), format!("0::/{group}")).unwrap();
        }
        let processes = ProcessTable::read(proc.path()).unwrap();
        let of = |pod: &Pod| -> Vec<u32> {
            let of = processes.iter().filter(|process| pod.has(process));
            of.map(|process| process.pid).collect()
        };
        assert_eq!(of(&pod(&format!("containerd://{id}"), "c")), [3, 5]);
        assert_eq!(of(&pod("", "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11")), [4, 5]);
        for container in ["containerd://", "containerd://0a1b2c3d4e5f6071", &id] {
            assert_eq!(of(&pod(container, "c")), [5], "{container}");
        }
    }
}
