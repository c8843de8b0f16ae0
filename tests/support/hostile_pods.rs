//! Pods of about 1 MiB that a tenant may create, and that are as expensive to read as possible.

use serde_json::{Value, json};

/// The size of such a pod where the API server stores it, in bytes.
const BYTES: usize = 1 << 20;

/// The most that the API server accepts of annotations, in bytes.
const ANNOTATION_BYTES: usize = 250 << 10;

/// An annotation that the rules depend on.
const RANGES: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";

/// The kinds of large pods, by the field that is large.
const KINDS: [fn(&mut Value); 6] = [
    one_variable,
    escaped_variable,
    variables_of_the_proxy,
    arguments,
    annotations,
    settings_just_below_the_limit,
];

/// The pod with that number. Different numbers make different fields large.
pub fn hostile_pod(number: usize) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("hostile-{number}"),
            "namespace": "default",
            "annotations": {"sidecar.istio.io/status": "{}"},
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "app", "image": "none"}, {"name": "istio-proxy", "image": "none"}],
        },
    });
    KINDS[number % KINDS.len()](&mut pod);
    pod
}

fn one_variable(pod: &mut Value) {
    variable_of_the_application(pod, BYTES);
}

/// In JSON, the API server writes six bytes for each of these.
fn escaped_variable(pod: &mut Value) {
    pod["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "<".repeat(BYTES)}]);
}

fn variables_of_the_proxy(pod: &mut Value) {
    let value = "x".repeat(4000);
    let variables = (0..BYTES / value.len()).map(|number| {
        let name = format!("PROXY_CONFIG_{number}");
        json!({"name": name, "value": value})
    });
    pod["spec"]["containers"][1]["env"] = variables.collect();
}

fn arguments(pod: &mut Value) {
    // Each is a value of its own, in which the API server stores a length too.
    pod["spec"]["containers"][1]["args"] = json!(vec!["--aa"; BYTES / 8]);
}

fn annotations(pod: &mut Value) {
    pod["metadata"]["annotations"][RANGES] = ranges(ANNOTATION_BYTES);
    variable_of_the_application(pod, BYTES - ANNOTATION_BYTES);
}

fn settings_just_below_the_limit(pod: &mut Value) {
    pod["metadata"]["annotations"][RANGES] = ranges(30 << 10);
    variable_of_the_application(pod, BYTES);
}

fn variable_of_the_application(pod: &mut Value, bytes: usize) {
    pod["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "x".repeat(bytes)}]);
}

fn ranges(bytes: usize) -> Value {
    let range = "10.0.0.1/32,";
    let ranges = range.repeat(bytes / range.len());
    json!(ranges.trim_end_matches(','))
}
