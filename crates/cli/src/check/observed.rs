//! What is known of a cluster, for the judgement.

use std::collections::BTreeMap;

use mesh_cni_agent_api::{AgentStatus, PodList};
use mesh_cni_kube::namespace::Labels;
use serde::Deserialize;

use super::node::Node;
use super::objects::{ConfigMap, DaemonSet, PodEvent};
use super::pods::PodDecisions;
use crate::cluster::agents::AgentPod;

/// What both judgements need. What is `None` cannot be read, and nothing is judged by it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// The version of the API server.
    pub(crate) server: String,
    /// The namespace of mesh-cni.
    pub(crate) namespace: String,
    pub(crate) nodes: Option<Vec<Node>>,
    pub(crate) daemon_sets: Option<Vec<DaemonSet>>,
    pub(crate) pods: Option<PodDecisions>,
    /// What cannot be listed, and why.
    pub(crate) unlisted: Vec<String>,
    /// Objects that cannot be read, and why.
    pub(crate) unreadable: Vec<String>,
    /// Unknown fields of the installed configuration.
    pub(crate) ignored: Vec<String>,
}

/// A cluster before the installation.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObservedBefore {
    pub(crate) common: Observed,
    /// What who installs may do; `None` if it is not known.
    pub(crate) rights: Option<Vec<Right>>,
    /// The namespace; `None` if it is not known.
    pub(crate) installation: Option<Installation>,
    /// The `ConfigMap`s of the injector's namespace.
    pub(crate) istio: Option<Vec<ConfigMap>>,
    pub(crate) istio_namespace: String,
}

/// The namespace in which mesh-cni would be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Installation {
    /// It has these labels.
    Namespace(Labels),
    NoNamespace,
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
    /// The pods of each node whose agent lists them.
    pub(crate) lists: BTreeMap<String, PodList>,
    /// Events about sandboxes that were not created.
    pub(crate) events: Option<Vec<PodEvent>>,
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
