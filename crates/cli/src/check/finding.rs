//! What a check found: an identifier, a status, a sentence, and what to do.

use serde::Serialize;

/// What is checked. `docs/checks.md` explains each identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CheckId {
    ApiServer,
    Objects,
    Rights,
    PodSecurity,
    NodeSystem,
    ContainerRuntime,
    Platform,
    OtherMeshCni,
    Injector,
    Pods,
    PodsRefused,
    AgentInstalled,
    AgentMissing,
    AgentReady,
    AgentAnswer,
    PluginInstalled,
    CniDirectories,
    Versions,
    BackEnd,
    Rules,
    Ambient,
    Ipv6Open,
    Taint,
}

impl CheckId {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ApiServer => "api-server",
            Self::Objects => "objects",
            Self::Rights => "rights",
            Self::PodSecurity => "pod-security",
            Self::NodeSystem => "node-system",
            Self::ContainerRuntime => "container-runtime",
            Self::Platform => "platform",
            Self::OtherMeshCni => "other-mesh-cni",
            Self::Injector => "injector",
            Self::Pods => "pods",
            Self::PodsRefused => "pods-refused",
            Self::AgentInstalled => "agent-installed",
            Self::AgentMissing => "agent-missing",
            Self::AgentReady => "agent-ready",
            Self::AgentAnswer => "agent-answer",
            Self::PluginInstalled => "plugin-installed",
            Self::CniDirectories => "cni-directories",
            Self::Versions => "versions",
            Self::BackEnd => "back-end",
            Self::Rules => "rules",
            Self::Ambient => "ambient",
            Self::Ipv6Open => "ipv6-open",
            Self::Taint => "taint",
        }
    }
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Ok,
    /// It works, but someone should look at it.
    Warning,
    /// It does not work.
    Failed,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Finding {
    /// What was checked.
    pub(crate) id: CheckId,
    pub(crate) status: Status,
    /// What was found, in one line.
    pub(crate) text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// The names of the nodes, pods or other objects that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
}

impl Finding {
    pub(crate) fn ok(id: CheckId, text: impl Into<String>) -> Self {
        Self::new(id, Status::Ok, text.into())
    }

    pub(crate) fn warning(id: CheckId, text: impl Into<String>) -> Self {
        Self::new(id, Status::Warning, text.into())
    }

    pub(crate) fn failed(id: CheckId, text: impl Into<String>) -> Self {
        Self::new(id, Status::Failed, text.into())
    }

    fn new(id: CheckId, status: Status, text: String) -> Self {
        Self {
            id,
            status,
            text,
            hint: None,
            names: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn names(mut self, names: Vec<String>) -> Self {
        self.names = names;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    const ALL: [CheckId; 23] = [
        CheckId::ApiServer,
        CheckId::Objects,
        CheckId::Rights,
        CheckId::PodSecurity,
        CheckId::NodeSystem,
        CheckId::ContainerRuntime,
        CheckId::Platform,
        CheckId::OtherMeshCni,
        CheckId::Injector,
        CheckId::Pods,
        CheckId::PodsRefused,
        CheckId::AgentInstalled,
        CheckId::AgentMissing,
        CheckId::AgentReady,
        CheckId::AgentAnswer,
        CheckId::PluginInstalled,
        CheckId::CniDirectories,
        CheckId::Versions,
        CheckId::BackEnd,
        CheckId::Rules,
        CheckId::Ambient,
        CheckId::Ipv6Open,
        CheckId::Taint,
    ];

    #[test]
    fn the_documentation_explains_every_check_and_no_other() {
        assert_eq!(
            ALL.map(|id| id as usize),
            std::array::from_fn(|index| index)
        );
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks.md");
        let page = std::fs::read_to_string(page).expect("docs/checks.md exists");
        let explained: BTreeSet<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
            .collect();
        assert_eq!(explained, ALL.map(CheckId::as_str).into());
    }

    #[test]
    fn json_has_the_same_identifiers() {
        for id in ALL {
            assert_eq!(serde_json::to_value(id).expect("it has JSON"), id.as_str());
        }
    }
}
