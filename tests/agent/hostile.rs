//! Objects that a tenant may create and that a real API server stores: the agent still sees every
//! other pod.

use mesh_cni_tests::Agent;
use serde_json::{Value, json};

use crate::node::{Node, PLAIN, passed};

/// A pod with managed fields in that many levels, as anyone may send them who may create pods.
fn deep(name: &str, levels: usize) -> Value {
    let fields = (0..levels).fold(json!({}), |inner, _| json!({"f:a": inner}));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "managedFields": [{
                "manager": "tenant", "operation": "Update", "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
            }],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "none"}]},
    })
}

#[test]
fn a_pod_with_deeply_nested_fields_hides_no_other_pod() {
    let mut node = Node::start();
    let before = node.pod("before", PLAIN);
    for levels in [60, 130, 1000] {
        node.api.create_pod(&deep(&format!("deep{levels}"), levels));
    }
    let stored = node
        .api
        .must("get pod deep1000 --output=json --show-managed-fields");
    assert!(
        stored.matches("f:a").count() >= 1000,
        "the API server drops the fields"
    );
    let after = node.pod("after", PLAIN);
    assert!(passed(&node.add("before", &before)));
    assert!(passed(&node.add("after", &after)));
    let deep = node.api.get("pod deep1000");
    let uid = deep["metadata"]["uid"].as_str().unwrap();
    assert!(passed(&node.add("deep1000", uid)));

    // An agent that starts now lists all of them.
    let directory = tempfile::tempdir().unwrap();
    node.agent = Agent::start(&node.api, directory.path());
    let later = node.pod("later", PLAIN);
    assert!(passed(&node.add("deep1000", uid)));
    assert!(passed(&node.add("later", &later)));
}
