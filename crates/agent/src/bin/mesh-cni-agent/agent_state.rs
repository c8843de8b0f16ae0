//! The state of the agent on this node, requested on its socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_cni_agent_api::{
    AgentState as State, AgentStatus, BrokenPod, Client, RepairStatus, SOCKET_FILE, path,
};
use mesh_cni_plan::PodSourceName;

/// The time limit for the request.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The state of the agent.
pub(crate) enum AgentState {
    /// No agent has run here, and the plugin needs none.
    None,
    /// No agent has run here, so this socket does not exist, but the plugin needs it.
    Missing(PathBuf),
    /// It answers.
    Answers(Box<AgentStatus>),
    /// Its socket exists, but it does not answer.
    Silent(PathBuf),
}

impl AgentState {
    /// Requests the state on the socket in that directory. The plugin reads pods where its entry says.
    pub(crate) fn request(run_dir: &Path, pod_source: Option<PodSourceName>) -> Self {
        let socket = run_dir.join(SOCKET_FILE);
        if !socket.exists() {
            return match pod_source {
                Some(PodSourceName::Agent) => Self::Missing(socket),
                _ => Self::None,
            };
        }
        request_status(&socket).map_or(Self::Silent(socket), |status| {
            Self::Answers(Box::new(status))
        })
    }

    /// *running* or *updating*, and why; `None` without an agent.
    pub(crate) fn summary(&self) -> Option<(&'static str, String)> {
        match self {
            Self::None => None,
            Self::Answers(status) => Some((status.state.as_str(), status.why.clone())),
            Self::Missing(socket) => Some((
                State::Updating.as_str(),
                format!(
                    "no agent has run here, and the plugin needs its answers: {} does not exist",
                    socket.display()
                ),
            )),
            Self::Silent(socket) => Some((
                State::Updating.as_str(),
                format!("no agent answers on {}", socket.display()),
            )),
        }
    }

    /// Whether every check passes; also without an agent that the plugin does not need.
    pub(crate) fn is_good(&self) -> bool {
        match self {
            Self::None => true,
            Self::Answers(status) => status.state == State::Running,
            Self::Missing(_) | Self::Silent(_) => false,
        }
    }

    /// The results of repair: one line, and one for each broken pod.
    pub(crate) fn repair_lines(&self) -> Vec<String> {
        match self {
            Self::Answers(status) => status.repair.as_ref().map_or(Vec::new(), repair_lines),
            _ => Vec::new(),
        }
    }

    /// Ambient mode: one line, and one for each broken pod.
    pub(crate) fn ambient_lines(&self) -> Vec<String> {
        let ambient = match self {
            Self::Answers(status) => status.ambient.as_ref(),
            _ => None,
        };
        ambient.map_or_else(Vec::new, |ambient| {
            let summary = format!("ambient mode: {ambient}");
            std::iter::once(summary)
                .chain(ambient.broken.iter().map(broken_line))
                .collect()
        })
    }

    /// How many warnings about redirected pods there are: one line, if there are any.
    pub(crate) fn warning_line(&self) -> Option<String> {
        let Self::Answers(status) = self else {
            return None;
        };
        let counts: Vec<_> = status
            .warnings
            .iter()
            .map(|(code, count)| format!("{count} {code}"))
            .collect();
        (!counts.is_empty()).then(|| format!("warnings: {}", counts.join(", ")))
    }
}

fn request_status(socket: &Path) -> Option<AgentStatus> {
    let mut client = Client::connect(socket, TIMEOUT).ok()?;
    client.get(path::STATUS).ok()?;
    client.receive().ok()?.json().ok()
}

fn repair_lines(repair: &RepairStatus) -> Vec<String> {
    let RepairStatus {
        done,
        failed,
        broken,
        ..
    } = repair;
    let actions = repair.remedies.join(", ");
    let summary = format!("repair ({actions}): {done} done, {failed} failed, {broken} broken");
    let pods = repair.pods.iter().map(broken_line);
    std::iter::once(summary).chain(pods).collect()
}

fn broken_line(broken: &BrokenPod) -> String {
    format!("  {}: {}", broken.pod, broken.why)
}
