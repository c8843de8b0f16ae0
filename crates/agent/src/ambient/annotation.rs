//! The annotation by which istiod learns that ztunnel serves a pod.

use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::pod::PodName;
use serde_json::{Value, json};

use super::entry::ENABLED;
use super::problem::Problem;
use super::task::Outcome;
use crate::error_chain;
use crate::kube::lookup::FactsLookup;

/// Its key.
const KEY: &str = "ambient.istio.io/redirection";

/// Sets it.
pub(super) async fn set(
    lookup: &FactsLookup,
    pod: &PodName,
    uid: &str,
) -> Result<Outcome, Problem> {
    patch(lookup, pod, uid, json!(ENABLED))
        .await
        .map_err(|error| problem(&error))
}

/// Removes it. A pod that does not exist any more has none.
pub(super) async fn remove(
    lookup: &FactsLookup,
    pod: &PodName,
    uid: &str,
) -> Result<Outcome, Problem> {
    match patch(lookup, pod, uid, Value::Null).await {
        Err(error) if !matches!(error.code(), Some(404 | 409)) => Err(problem(&error)),
        _ => Ok(Outcome::Done),
    }
}

async fn patch(
    lookup: &FactsLookup,
    pod: &PodName,
    uid: &str,
    value: Value,
) -> Result<Outcome, ApiError> {
    let path = format!("/api/v1/namespaces/{}/pods", pod.namespace);
    // Another pod of that name has another UID, and the API server refuses.
    let change = json!({"metadata": {"uid": uid, "annotations": {KEY: value}}});
    lookup.metrics.api_request("patch");
    let changed = lookup.api.merge_status(&path, &pod.name, &change).await;
    changed.inspect_err(|_error| lookup.metrics.api_failed())?;
    Ok(Outcome::Done)
}

fn problem(error: &ApiError) -> Problem {
    Problem {
        why: format!(
            "the annotation {KEY} cannot be changed: {}",
            error_chain(error)
        ),
        remedy: "the agent retries; its role needs the verb patch on pods/status",
    }
}
