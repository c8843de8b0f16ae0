//! The list of the pods of a node: what an ADD would do for each, and whether its rules are applied.

use serde::{Deserialize, Serialize};

use crate::ambient::AmbientPod;
use crate::pod::PROTOCOL_VERSION;

/// The most pods in one [`PodList`].
pub const MAX_LISTED_PODS: usize = 200;

/// One page of the pods of a node, as [`GET /v1/pods`](crate::path::pods) returns it, ordered by
/// namespace and name. Later versions may add fields.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodList {
    /// The protocol version of the writer.
    #[serde(default)]
    pub protocol_version: u32,
    /// The node's name.
    pub node: String,
    /// How the agent knows pods.
    pub source: PodListSource,
    /// Why the list may be incomplete, or contain pods that have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How many pods all pages have together.
    pub total: usize,
    /// The pods of this page, at most [`MAX_LISTED_PODS`].
    pub pods: Vec<ListedPod>,
    /// The value of `after` for the next page; absent in the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How an agent knows the pods of its node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodListSource {
    /// It watches them.
    Watch,
    /// Plugins reported their ADDs since the agent started.
    Reports,
    /// In a way that this program does not know.
    #[serde(other)]
    Other,
}

/// A pod of a node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedPod {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// `status.phase`; empty if it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// The mesh whose rules the pod needs, such as `istio` or `ambient`; absent if it needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<String>,
    /// What an ADD would do, or what the last one did if the agent does not watch pods.
    pub decision: PodDecision,
    /// Why, in one line.
    pub reason: String,
    /// Whether the rules that the pod needs are applied.
    pub rules: RulesApplied,
    /// Why not, the first difference, or why it is not known; absent for `yes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_detail: Option<String>,
    /// The pod's ambient mode; absent if it is not on its way into ambient mode or out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ambient: Option<AmbientPod>,
    /// The ADDs of this pod that failed since the agent started; absent if none failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusals: Option<Refusals>,
}

/// What an ADD of a pod does.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PodDecision {
    /// It redirects the pod's traffic to its sidecar.
    Redirect,
    /// It redirects the pod's traffic to ztunnel.
    Enrol,
    /// It does nothing.
    Skip,
    /// It fails, so the pod does not start.
    Refuse,
    /// It is not known.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Whether the rules that a pod needs are applied in its network namespace.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RulesApplied {
    /// They are applied.
    Yes,
    /// There are none of ours. This is right for a pod that is skipped.
    No,
    /// There are some of ours, but not those that the pod needs.
    Drifted,
    /// It is not known.
    #[default]
    #[serde(other)]
    Unknown,
}

/// The failed ADDs of a pod.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// How many failed.
    pub count: u64,
    /// The CNI error code of the last one.
    pub code: String,
    /// What the last one wrote to the plugin's log, in one line; empty if nothing.
    #[serde(default)]
    pub message: String,
}

impl PodList {
    /// A page of this version without pods.
    pub fn new(node: &str, source: PodListSource) -> Self {
        Self {
            protocol_version: PROTOCOL_VERSION,
            node: node.to_owned(),
            source,
            note: None,
            total: 0,
            pods: Vec::new(),
            next: None,
        }
    }
}

impl PodDecision {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Enrol => "enrol",
            Self::Skip => "skip",
            Self::Refuse => "refuse",
            Self::Unknown => "unknown",
        }
    }
}

impl RulesApplied {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Drifted => "drifted",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_are_those_of_as_str() {
        for decision in [
            PodDecision::Redirect,
            PodDecision::Enrol,
            PodDecision::Skip,
            PodDecision::Refuse,
            PodDecision::Unknown,
        ] {
            assert_eq!(serde_json::to_value(decision).unwrap(), decision.as_str());
        }
        for rules in [
            RulesApplied::Yes,
            RulesApplied::No,
            RulesApplied::Drifted,
            RulesApplied::Unknown,
        ] {
            assert_eq!(serde_json::to_value(rules).unwrap(), rules.as_str());
        }
    }

    #[test]
    fn words_and_fields_of_later_versions_are_read() {
        let json = r#"{"protocol_version": 2, "node": "n1", "source": "elsewhere", "total": 1,
            "pods": [{"namespace": "a", "name": "b", "decision": "later", "rules": "later", "x": 1}]}"#;
        let list: PodList = serde_json::from_str(json).unwrap();
        assert_eq!(list.source, PodListSource::Other);
        assert_eq!(list.pods[0].decision, PodDecision::Unknown);
        assert_eq!(list.pods[0].rules, RulesApplied::Unknown);
    }
}
