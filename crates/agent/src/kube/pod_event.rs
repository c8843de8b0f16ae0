//! A Kubernetes Event about a pod.

use std::time::SystemTime;

use mesh_cni_text::{escaped, truncated};
use serde_json::{Value, json};

use crate::metrics::Metrics;
use mesh_cni_kube::api::Api;
use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::pod::Pod;

/// The controller that reports the Event.
const CONTROLLER: &str = "mesh-cni/agent";

/// The longest note that the API server accepts, in bytes.
const MAX_NOTE_BYTES: usize = 1024;

/// The most bytes of the pod's name in the name of an Event.
const MAX_NAME_BYTES: usize = 100;

/// An Event, before it is about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodEvent<'a> {
    /// What distinguishes it from other Events about the pod. An Event with the same key is created
    /// once. Without a key, each is created.
    pub(crate) key: Option<&'a str>,
    pub(crate) is_warning: bool,
    pub(crate) reason: &'static str,
    pub(crate) action: &'static str,
    /// A long one is cut.
    pub(crate) note: &'a str,
}

impl PodEvent<'_> {
    /// Creates the Event, unless it exists.
    pub(crate) async fn create(
        &self,
        api: &Api,
        metrics: &Metrics,
        node: &str,
        pod: &Pod,
    ) -> Result<(), ApiError> {
        let namespace = &pod.name.namespace;
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        metrics.api_request("create");
        let object = self.to_object(pod, node, SystemTime::now());
        match api.create(&path, &object).await {
            Err(error) if self.key.is_some() && error.code() == Some(409) => Ok(()),
            result => result.inspect_err(|_error| metrics.api_failed()),
        }
    }

    /// An object of `events.k8s.io/v1`.
    fn to_object(&self, pod: &Pod, node: &str, now: SystemTime) -> Value {
        let name = truncated(&pod.name.name, MAX_NAME_BYTES);
        let name = match self.key {
            Some(key) => json!({"name": format!("{name}-{}-{key}", pod.uid)}),
            None => json!({"generateName": format!("{name}-")}),
        };
        let mut event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": name,
            "eventTime": humantime::format_rfc3339_micros(now).to_string(),
            "reportingController": CONTROLLER,
            "reportingInstance": truncated(node, 128),
            "action": self.action,
            "reason": self.reason,
            "type": if self.is_warning { "Warning" } else { "Normal" },
            // It may quote what the owner of the pod wrote.
            "note": truncated(&escaped(self.note), MAX_NOTE_BYTES),
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": pod.name.namespace,
                "name": pod.name.name,
                "uid": pod.uid,
            },
        });
        event["metadata"]["namespace"] = json!(pod.name.namespace);
        event
    }
}

#[cfg(test)]
mod tests {
    use mesh_cni_text::is_printable;

    use super::*;

    #[test]
    fn control_and_format_characters_in_a_note_are_escaped() {
        let pod = json!({"metadata": {"namespace": "shop", "name": "cart", "uid": "u-1"}});
        let pod = Pod::from_object(&pod).unwrap();
        for note in ["a\u{202e}b", "a\u{1b}[8m\n\u{200b}", "\u{e0041}"] {
            let event = PodEvent {
                key: None,
                is_warning: true,
                reason: "RepairFailed",
                action: "RepairInPlace",
                note,
            };
            let event = event.to_object(&pod, "n1", SystemTime::UNIX_EPOCH);
            let shown = event["note"].as_str().unwrap();
            assert!(shown.chars().all(is_printable), "{shown:?}");
            assert!(shown.contains("\\u{"), "{shown:?}");
        }
    }
}
