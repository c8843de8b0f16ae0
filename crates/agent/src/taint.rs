//! The taint that keeps pods off a new node: taken away as soon as the agent is ready, never added.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::http::routes::Agent;
use crate::kube::api::{ApiError, Object};

/// Where nodes are.
const NODES: &str = "/api/v1/nodes";

/// How long a node is left unlooked at: a kubelet that registers it anew gives it its taints again.
const REST: Duration = Duration::from_secs(60);

/// The first pause after a failure; each further one is twice as long, up to `REST`.
const SHORTEST: Duration = Duration::from_secs(1);

/// A node, as far as it is read.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    /// `spec.taints`, each as it is.
    taints: Vec<Value>,
}

/// Keeps the taint off the agent's node while the agent is ready, until the task is dropped.
pub(crate) async fn keep_off(key: String, agent: Arc<Agent>) {
    let mut changes = agent.board.changes();
    let mut pause = SHORTEST;
    loop {
        changes.borrow_and_update();
        let rest = if agent.board.is_ready() {
            match take_off(&key, &agent).await {
                Ok(()) => {
                    pause = SHORTEST;
                    REST
                }
                Err(error) => {
                    let error = crate::one_line(&error);
                    warn!(taint = key, again_in_s = pause.as_secs(), "taint: {error}");
                    agent.metrics.api_failed();
                    agent.facts.api.renew();
                    let rest = pause;
                    pause = REST.min(pause * 2);
                    rest
                }
            }
        } else {
            REST
        };
        // An agent that becomes ready does not wait; its end drops the task.
        drop(timeout(rest, ready(&agent, &mut changes)).await);
    }
}

/// Waits until the board changes to ready.
async fn ready(agent: &Agent, changes: &mut tokio::sync::watch::Receiver<u64>) {
    let mut was = agent.board.is_ready();
    while changes.changed().await.is_ok() {
        let is = agent.board.is_ready();
        if is && !was {
            return;
        }
        was = is;
    }
    std::future::pending::<()>().await;
}

/// Takes every taint of that key off, if one is there. Another writer's change in between is a
/// refusal (409), and it is tried again.
async fn take_off(key: &str, agent: &Agent) -> Result<(), ApiError> {
    let api = &agent.facts.api;
    agent.metrics.api_asked("get");
    let Some(node) = api.get::<Node>(NODES, &agent.node).await? else {
        return Ok(());
    };
    let Some(left) = without(&node.object.taints, key) else {
        return Ok(());
    };
    let patch = json!({
        "metadata": {"resourceVersion": node.version},
        "spec": {"taints": left},
    });
    agent.metrics.api_asked("patch");
    api.merge(NODES, &agent.node, &patch).await?;
    info!(
        taint = key,
        node = agent.node,
        "taint: taken off, the agent is ready"
    );
    Ok(())
}

/// The taints without those of that key; `None` where there is none of it.
fn without(taints: &[Value], key: &str) -> Option<Vec<Value>> {
    let others = taints.iter().filter(|taint| taint["key"] != key);
    let others: Vec<_> = others.cloned().collect();
    (others.len() < taints.len()).then_some(others)
}

impl Object for Node {
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
    fn taints_of_others_stay() {
        let ours = |effect: &str| json!({"key": "mesh-cni/not-ready", "effect": effect});
        let other = json!({"key": "gpu", "value": "yes", "effect": "NoSchedule"});
        let taints = [ours("NoSchedule"), other.clone(), ours("NoExecute")];
        assert_eq!(without(&taints, "mesh-cni/not-ready"), Some(vec![other]));
        assert_eq!(without(&taints, "mesh-cni"), None);
    }
}
