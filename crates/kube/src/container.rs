//! The status of a pod's containers, reduced to what repair needs.

use mesh_cni_text::truncated;
use serde::Deserialize;
use serde_json::Value;

/// The most that is kept of one text, in bytes.
const MAX_TEXT: usize = 1 << 10;

/// The most containers of each kind whose status is kept, besides the one that repair reads.
const MAX_CONTAINERS: usize = 64;

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

/// The part of a pod's status that repair uses.
pub(crate) struct PodStatus {
    pub(crate) phase: String,
    pub(crate) init_containers: Vec<Container>,
    pub(crate) containers: Vec<Container>,
}

impl PodStatus {
    /// Reads it from a `v1` Pod. Redirection does not depend on it, so a status that cannot be decoded
    /// counts as empty.
    pub(crate) fn from_object(pod: &Value) -> Self {
        let status = Statuses::deserialize(&pod["status"]).unwrap_or_default();
        let read = |statuses: Vec<ContainerStatus>| statuses.into_iter().map(container).collect();
        Self {
            phase: short(&status.phase),
            init_containers: read(status.init_containers),
            containers: read(status.containers),
        }
    }
}

/// Removes what nothing reads: the texts of all containers but these, and the statuses of containers
/// after the first ones.
pub(crate) fn retain_used(containers: &mut Vec<Container>, used: &[String]) {
    let is_used = |container: &Container| used.contains(&container.name);
    let mut number = 0;
    containers.retain_mut(|container| {
        number += 1;
        if !is_used(container) {
            container.remove_texts();
        }
        number <= MAX_CONTAINERS || is_used(container)
    });
    containers.shrink_to_fit();
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Statuses {
    phase: String,
    #[serde(rename = "initContainerStatuses")]
    init_containers: Vec<ContainerStatus>,
    #[serde(rename = "containerStatuses")]
    containers: Vec<ContainerStatus>,
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

impl Container {
    fn remove_texts(&mut self) {
        let current = match &mut self.state {
            ContainerState::Waiting(reason) => {
                *reason = String::new();
                None
            }
            ContainerState::Terminated(end) => Some(end),
            ContainerState::Running | ContainerState::Unknown => None,
        };
        for end in current.into_iter().chain(&mut self.last_termination) {
            (end.reason, end.message) = (String::new(), String::new());
        }
    }
}

fn container(status: ContainerStatus) -> Container {
    Container {
        name: short(&status.name),
        id: Some(short(&status.container_id)).filter(|id| !id.is_empty()),
        state: state(status.state),
        last_termination: status.last_state.terminated.as_ref().map(termination),
        restarts: status.restart_count,
    }
}

fn state(status: StateStatus) -> ContainerState {
    if let Some(terminated) = &status.terminated {
        ContainerState::Terminated(termination(terminated))
    } else if status.running.is_some() {
        ContainerState::Running
    } else if let Some(waiting) = status.waiting {
        ContainerState::Waiting(short(&waiting.reason))
    } else {
        ContainerState::Unknown
    }
}

fn termination(termination: &Termination) -> Termination {
    Termination {
        exit_code: termination.exit_code,
        reason: short(&termination.reason),
        message: short(&termination.message),
    }
}

fn short(text: &str) -> String {
    truncated(text, MAX_TEXT).to_owned()
}
