//! What the program prints with `--output json`.

use std::path::{Path, PathBuf};

use mesh_cni_agent_api::AgentStatus;
use mesh_cni_installer::{Installation, NodeStatus, Outcome, Step};
use mesh_cni_text::escaped_json;
use serde::Serialize;

use crate::agent_state::AgentState;

/// What `install` and `uninstall` did.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct InstallDocument {
    /// The completed steps, in order.
    steps: Vec<ShownStep>,
    /// What operators should know.
    notes: Vec<String>,
}

/// A completed step.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownStep {
    /// Its stable name.
    step: &'static str,
    /// The file that it changed; null if it changed none.
    path: Option<PathBuf>,
    /// What it did.
    text: String,
}

/// The state of the installation and of the agent.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct StatusDocument {
    /// Whether the plugin is installed.
    status: InstallationWord,
    /// The configuration that has our entry, or should have it.
    conf: Option<PathBuf>,
    /// Why the plugin is not called or does not work.
    reasons: Vec<String>,
    /// Entries in the configurations of other plugins, which call the plugin too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nested: Vec<ShownNested>,
    /// Files that runtimes do not load.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// `running` or `updating`; absent without an agent that the plugin needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Why the agent is in that state.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What the agent itself answers; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentStatus>,
}

/// Whether the plugin is installed.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum InstallationWord {
    /// Binary and entry are in place.
    Installed,
    /// Both are missing.
    NotInstalled,
    /// One of them is missing or incorrect.
    Partly,
}

/// An entry in the configuration of another plugin.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownNested {
    /// The configuration.
    conf: PathBuf,
    /// The entry's path in the document, such as `delegates[0].plugins[2]`; null if the file cannot be parsed.
    at: Option<String>,
}

/// A document on one line.
pub(crate) fn document(document: &impl Serialize) -> String {
    let text = serde_json::to_string(document).expect("these types have a JSON form");
    escaped_json(&text).into_owned()
}

impl From<&Outcome> for InstallDocument {
    fn from(outcome: &Outcome) -> Self {
        Self {
            steps: outcome.steps.iter().map(ShownStep::from).collect(),
            notes: outcome.notes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&Step> for ShownStep {
    fn from(step: &Step) -> Self {
        Self {
            step: step.name(),
            path: step.path().map(Path::to_owned),
            text: step.to_string(),
        }
    }
}

impl StatusDocument {
    pub(crate) fn new(status: &NodeStatus, agent: &AgentState) -> Self {
        let (state, why) = agent.summary().unzip();
        let nested = status.nested.iter().map(|entry| ShownNested {
            conf: entry.conf.clone(),
            at: entry.at.clone(),
        });
        Self {
            status: match status.installation {
                Installation::Installed => InstallationWord::Installed,
                Installation::NotInstalled => InstallationWord::NotInstalled,
                Installation::Partly => InstallationWord::Partly,
            },
            conf: status.conf.clone(),
            reasons: status.problems.iter().map(ToString::to_string).collect(),
            nested: nested.collect(),
            notes: status.notes.iter().map(ToString::to_string).collect(),
            state,
            why,
            agent: match agent {
                AgentState::Answers(status) => Some(AgentStatus::clone(status)),
                _ => None,
            },
        }
    }
}
