//! What is known of a cluster, for the judgement.

use std::collections::BTreeMap;

use mesh_cni_agent_api::AgentStatus;
use mesh_cni_kube::namespace::Labels;
use serde::Deserialize;

use super::node::Node;
use super::objects::{ConfigMap, DaemonSet, PodEvent};
use super::pods::PodDecisions;
use crate::cluster::agents::AgentPod;

/// What both judgements need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// The version of the API server.
    pub(crate) server: String,
    /// The namespace of mesh-cni.
    pub(crate) namespace: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) daemon_sets: Vec<DaemonSet>,
    pub(crate) pods: PodDecisions,
    /// What cannot be listed, and why.
    pub(crate) unlisted: Vec<String>,
    /// Objects that cannot be read, and why.
    pub(crate) unreadable: Vec<String>,
}

/// A cluster before the installation.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObservedBefore {
    pub(crate) common: Observed,
    /// What who installs may do, or why that is not known.
    pub(crate) rights: Vec<Right>,
    /// The labels of the namespace; `None` if it does not exist.
    pub(crate) namespace_labels: Option<Labels>,
    /// The `ConfigMap`s of the injector's namespace.
    pub(crate) istio: Vec<ConfigMap>,
    pub(crate) istio_namespace: String,
}

/// Whether a request would be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    /// For example `create daemonsets.apps`.
    pub(crate) what: String,
    pub(crate) is_allowed: bool,
}

/// A cluster after the installation.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObservedAfter {
    pub(crate) common: Observed,
    /// The agent of each node.
    pub(crate) agents: BTreeMap<String, AgentPod>,
    /// What each agent answers, or why it does not.
    pub(crate) answers: BTreeMap<String, Result<AgentAnswer, String>>,
    /// Events about sandboxes that were not created.
    pub(crate) events: Vec<PodEvent>,
}

/// What `mesh-cni-agent status --output json` prints.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct AgentAnswer {
    /// `installed`, `not-installed` or `partly`.
    #[serde(rename = "status")]
    pub(crate) installation: String,
    /// Why it is not installed.
    #[serde(default)]
    pub(crate) reasons: Vec<String>,
    /// Why the agent is in its state.
    pub(crate) why: Option<String>,
    /// What the agent itself answers; absent if it does not.
    pub(crate) agent: Option<AgentStatus>,
}
