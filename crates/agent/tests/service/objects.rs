//! Objects as an API server returns them.

use serde_json::{Value, json};

/// A pod with a sidecar.
pub(crate) fn pod(name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": uid,
            "resourceVersion": "7",
            "labels": {"app": name},
            "annotations": {"sidecar.istio.io/status": "{}"},
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "app"}, {"name": "istio-proxy", "args": ["proxy", "sidecar"]}],
        },
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}]},
    })
}

/// The same pod while it is being deleted.
pub(crate) fn deleting(mut pod: Value) -> Value {
    pod["metadata"]["deletionTimestamp"] = json!("2026-11-25T12:00:00Z");
    pod
}

/// The mirror of a static pod, which the kubelet knows by another UID.
pub(crate) fn mirror(name: &str, uid: &str, static_uid: &str) -> Value {
    let mut pod = pod(name, uid);
    for key in ["kubernetes.io/config.hash", "kubernetes.io/config.mirror"] {
        pod["metadata"]["annotations"][key] = json!(static_uid);
    }
    pod["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "n-1"}]);
    pod
}
