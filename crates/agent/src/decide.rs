//! What an ADD would do for a pod that the agent knows.

use mesh_cni_plan::{Decision, MeshConf, decide_by_name};

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
