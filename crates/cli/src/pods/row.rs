//! One pod of the cluster, as it is printed.

use mesh_cni_agent_api::{AmbientPod, PodDecision, Refusals, RulesApplied};
use mesh_cni_plan::{Decision, MeshConf, Profile, decide, decide_by_name, rule_counts};
use mesh_cni_selector::Mesh;
use mesh_cni_text::truncated;
use serde::Serialize;

use super::answers::{Answer, Answers};
use super::list::ClusterPod;
use crate::case::OWN_POD;

/// The longest reason or detail, in bytes. A tenant's annotation can be part of it.
const MAX_TEXT_BYTES: usize = 500;

/// A pod: what the plugin decides with the cluster's configuration, and what the agent of its node
/// knows.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Row {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The pod's node; absent before the pod is scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// A name of the configuration's `profile`, such as `asm` or `ambient`; absent if the pod has no proxy and is
    /// not in ambient mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mesh: Option<&'static str>,
    /// What an ADD of the pod would do.
    pub(crate) decision: PodDecision,
    /// The code of the reason, for a pod that is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    pub(crate) reason: String,
    /// Whether the rules that the pod needs are applied.
    pub(crate) rules: RulesApplied,
    /// The first difference, or why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rules_detail: Option<String>,
    /// The pod's ambient mode; absent if it is not on its way into ambient mode or out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ambient: Option<AmbientPod>,
    /// The failed ADDs of the pod since the agent of its node started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refusals: Option<Refusals>,
}

impl Row {
    pub(crate) fn new(cluster_pod: &ClusterPod, conf: &MeshConf, answers: &Answers) -> Self {
        let ClusterPod { pod, node } = cluster_pod;
        let (namespace, name) = (&pod.name.namespace, &pod.name.name);
        let decision = match (decide_by_name(conf, namespace, name), &pod.facts) {
            (Some(decision), _) => Ok(decision),
            (None, Ok(facts)) => decide(facts, conf).map_err(|error| chain(&error)),
            (None, Err(error)) => Err(chain(error)),
        };
        let (decision, code, reason) = match decision {
            Ok(Decision::OwnPod) => (PodDecision::Skip, Some("own-pod"), OWN_POD.to_owned()),
            Ok(Decision::Skip(reason)) => {
                (PodDecision::Skip, Some(reason.code()), reason.to_string())
            }
            Ok(Decision::Redirect(redirection)) => {
                let counts = rule_counts(&redirection.rule_sets);
                (PodDecision::Redirect, None, counts)
            }
            Ok(Decision::Enrol(redirection)) => {
                let counts = rule_counts(&redirection.rule_sets);
                (PodDecision::Enrol, None, counts)
            }
            Err(error) => (PodDecision::Refuse, None, error),
        };
        let facts = pod.facts.as_ref().ok();
        let mut served = conf.profile.iter();
        let mesh = served.find(|profile| match profile.mesh() {
            Mesh::Ambient => decision == PodDecision::Enrol,
            mesh => facts.is_some_and(|facts| facts.proxy(mesh).is_some()),
        });
        let Answer {
            rules,
            detail,
            ambient,
            refusals,
        } = answers.of(&pod.uid, node.as_deref());
        Self {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: pod.uid.clone(),
            node: node.clone(),
            mesh: mesh.map(Profile::as_str),
            decision,
            code,
            reason: shortened(&reason),
            rules,
            rules_detail: detail.map(|detail| shortened(&detail)),
            ambient,
            refusals,
        }
    }
}

fn shortened(text: &str) -> String {
    let start = truncated(text, MAX_TEXT_BYTES);
    let end = if start.len() < text.len() { " …" } else { "" };
    format!("{start}{end}")
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    error_reporter::Report::new(error).to_string()
}
