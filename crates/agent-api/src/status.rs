//! The state of a node, as the agent reports it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ambient::AmbientStatus;

/// The state of a node, as `GET /v1/status` returns it. Later versions may add fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AgentStatus {
    /// Whether every check passes.
    pub state: AgentState,
    /// Why, in one line.
    pub why: String,
    /// The node's name.
    pub node: String,
    /// The agent's version.
    pub version: String,
    /// The checks, in the order in which the agent makes them pass.
    pub checks: Vec<CheckStatus>,
    /// How many pods of this node the agent knows.
    pub pods: usize,
    /// Seconds since the last event of the pod watch; absent before the first event and without a
    /// watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_age_seconds: Option<f64>,
    /// The back end that works on this node.
    pub backend: BackendStatus,
    /// The state of repair; absent if this agent repairs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairStatus>,
    /// Ambient mode; absent if this agent does not serve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ambient: Option<AmbientStatus>,
    /// How many warnings about redirected pods plugins reported or the agent found since it started, by
    /// code. Codes without warnings are absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub warnings: BTreeMap<String, u64>,
}

/// Whether the plugin is enabled on the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Every check passes.
    Running,
    /// At least one check does not pass.
    #[default]
    Updating,
}

/// The result of one check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckStatus {
    /// `install`, `watch` or `socket`.
    pub name: String,
    /// Whether it passes.
    pub ready: bool,
    /// Details, in one line.
    pub detail: String,
}

/// The back end that the agent found when it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BackendStatus {
    /// Its name; absent if none works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why it was chosen, or why none works.
    pub detail: String,
}

/// The state of repair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RepairStatus {
    /// What the agent does with broken pods: `repair`, `delete`, `label`.
    pub remedies: Vec<String>,
    /// How many pods the agent repaired, deleted or labelled since it started.
    pub done: u64,
    /// How many attempts failed.
    pub failed: u64,
    /// How many pods of this node are broken now.
    pub broken: usize,
    /// The first of them.
    pub pods: Vec<BrokenPod>,
}

/// A pod that runs without its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BrokenPod {
    /// `NAMESPACE/NAME`.
    pub pod: String,
    /// Why it is still broken.
    pub why: String,
}

impl AgentState {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Updating => "updating",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_with_few_fields_is_read() {
        let json = r#"{"state": "running", "why": "every check passes", "later": 1}"#;
        let status: AgentStatus = serde_json::from_str(json).unwrap();
        assert_eq!(status.state, AgentState::Running);
        assert_eq!(status.repair, None);
    }

    #[test]
    fn a_status_is_read_as_it_was_written() {
        let status = AgentStatus {
            node: "n1".to_owned(),
            watch_age_seconds: Some(1.5),
            repair: Some(RepairStatus::default()),
            ..AgentStatus::default()
        };
        let json = serde_json::to_string(&status).unwrap();
        assert!(json.contains(r#""state":"updating""#), "{json}");
        assert_eq!(serde_json::from_str::<AgentStatus>(&json).unwrap(), status);
    }
}
