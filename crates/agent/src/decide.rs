//! What an ADD would do for a pod that the agent knows.

use mesh_cni_agent_api::PodDecision;
use mesh_cni_plan::{Decision, MeshConf, decide_by_name, rule_counts};

use crate::error_chain;
use mesh_cni_kube::pod::Pod;

/// The decision for a pod, or in one line why an ADD would fail.
pub(crate) fn decide(pod: &Pod, conf: &MeshConf) -> Result<Decision, String> {
    if let Some(decision) = decide_by_name(conf, &pod.name.namespace, &pod.name.name) {
        return Ok(decision);
    }
    let facts = pod.facts.as_ref().map_err(|error| error_chain(error))?;
    mesh_cni_plan::decide(facts, conf).map_err(|error| error_chain(&error))
}

/// A decision in one word, and its reason.
pub(crate) fn describe(decision: &Result<Decision, String>) -> (PodDecision, String) {
    match decision {
        Ok(Decision::OwnPod) => (PodDecision::Skip, "it is the agent's own pod".to_owned()),
        Ok(Decision::Skip(reason)) => (PodDecision::Skip, reason.to_string()),
        Ok(Decision::Redirect(redirection)) => {
            (PodDecision::Redirect, rule_counts(&redirection.rule_sets))
        }
        Ok(Decision::Enrol(redirection)) => {
            (PodDecision::Enrol, rule_counts(&redirection.rule_sets))
        }
        Err(error) => (PodDecision::Refuse, error.clone()),
    }
}
