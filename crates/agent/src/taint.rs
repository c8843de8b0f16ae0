//! Removes the taint that keeps pods off a new node when the agent is ready. Never adds it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::http::routes::Agent;
use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::object::Object;

/// The path of nodes.
const NODES: &str = "/api/v1/nodes";

/// The interval between checks: a kubelet that registers its node again restores the taints.
const INTERVAL: Duration = Duration::from_secs(60);

/// The first backoff after a failure; each further one is twice as long, up to `INTERVAL`.
const MIN_BACKOFF: Duration = Duration::from_secs(1);

/// The part of a node that is read.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    /// `spec.taints`.
    taints: Vec<Value>,
}

/// Removes the taint whenever the agent is ready, until the task is dropped.
pub(crate) async fn keep_removed(key: String, agent: Arc<Agent>) {
    let mut changes = agent.readiness.changes();
    let mut backoff = MIN_BACKOFF;
    loop {
        changes.borrow_and_update();
        let mut pause = INTERVAL;
        if agent.readiness.is_ready() {
            match remove(&key, &agent).await {
                Ok(()) => backoff = MIN_BACKOFF,
                Err(error) => {
                    let error = crate::error_chain(&error);
                    let again_in_s = backoff.as_secs();
                    warn!(taint = key, again_in_s, "taint: {error}");
                    agent.metrics.api_failed();
                    agent.lookup.api.reconnect();
                    pause = backoff;
                    backoff = INTERVAL.min(backoff * 2);
                }
            }
        }
        // When the agent becomes ready, the pause ends.
        drop(timeout(pause, becomes_ready(&agent, &mut changes)).await);
    }
}

/// Waits until the agent changes from not ready to ready.
async fn becomes_ready(agent: &Agent, changes: &mut watch::Receiver<()>) {
    let mut was_ready = agent.readiness.is_ready();
    while changes.changed().await.is_ok() {
        let is_ready = agent.readiness.is_ready();
        if is_ready && !was_ready {
            return;
        }
        was_ready = is_ready;
    }
    std::future::pending::<()>().await;
}

/// Removes every taint with that key. If the node changed since it was read, the API server returns
/// 409 and the caller tries again.
async fn remove(key: &str, agent: &Agent) -> Result<(), ApiError> {
    let api = &agent.lookup.api;
    agent.metrics.api_request("get");
    let Some(node) = api.get::<Node>(NODES, &agent.node).await? else {
        return Ok(());
    };
    let Some(taints) = without(&node.object.taints, key) else {
        return Ok(());
    };
    let patch = json!({
        "metadata": {"resourceVersion": node.version},
        "spec": {"taints": taints},
    });
    agent.metrics.api_request("patch");
    api.merge(NODES, &agent.node, &patch).await?;
    info!(
        taint = key,
        node = agent.node,
        "taint: removed, the agent is ready"
    );
    Ok(())
}

/// The taints without those with that key; `None` if none has it.
fn without(taints: &[Value], key: &str) -> Option<Vec<Value>> {
    let others: Vec<_> = taints
        .iter()
        .filter(|taint| taint["key"] != key)
        .cloned()
        .collect();
    (others.len() < taints.len()).then_some(others)
}

impl Object for Node {
    const KEEP: &'static Keep = &Keep::Fields(&[
        (
            "metadata",
            &Keep::Fields(&[("resourceVersion", &Keep::All)]),
        ),
        ("spec", &Keep::Fields(&[("taints", &Keep::All)])),
    ]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let taints = object["spec"]["taints"].as_array();
        Ok(Self {
            taints: taints.cloned().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_taints_are_kept() {
        let ours = |effect: &str| json!({"key": "mesh-cni/not-ready", "effect": effect});
        let other = json!({"key": "gpu", "value": "yes", "effect": "NoSchedule"});
        let taints = [ours("NoSchedule"), other.clone(), ours("NoExecute")];
        assert_eq!(without(&taints, "mesh-cni/not-ready"), Some(vec![other]));
        assert_eq!(without(&taints, "mesh-cni"), None);
    }
}
