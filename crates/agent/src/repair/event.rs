//! The Kubernetes Event that reports an action on a pod.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::diagnosis::Action;
use crate::kube::pod::Pod;

/// The controller that reports the Event.
const CONTROLLER: &str = "mesh-cni/agent";

/// The longest note that the API server accepts, in bytes.
const MAX_NOTE_BYTES: usize = 1024;

/// An action that succeeded or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RepairEvent {
    pub(super) action: Action,
    /// The note: what was done, or why it failed and what to do about it.
    pub(super) result: Result<String, String>,
}

impl RepairEvent {
    /// The Event, an object of `events.k8s.io/v1`.
    pub(super) fn to_object(&self, pod: &Pod, node: &str, now: SystemTime) -> Value {
        let (kind, text) = match &self.result {
            Ok(text) => ("Normal", text),
            Err(text) => ("Warning", text),
        };
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "generateName": format!("{}-", pod.name.name),
                "namespace": pod.name.namespace,
            },
            "eventTime": humantime::format_rfc3339_micros(now).to_string(),
            "reportingController": CONTROLLER,
            "reportingInstance": truncated(node, 128),
            "action": self.action(),
            "reason": self.reason(),
            "type": kind,
            "note": truncated(text, MAX_NOTE_BYTES),
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": pod.name.namespace,
                "name": pod.name.name,
                "uid": pod.uid,
            },
        })
    }

    fn action(&self) -> &'static str {
        match self.action {
            Action::RepairInPlace => "RepairInPlace",
            Action::Delete => "DeletePod",
            Action::Label | Action::Unlabel => "LabelPod",
        }
    }

    fn reason(&self) -> &'static str {
        match (self.action, self.result.is_ok()) {
            (Action::RepairInPlace, true) => "Repaired",
            (Action::RepairInPlace, false) => "RepairFailed",
            (Action::Delete, true) => "DeletedForRepair",
            (Action::Delete, false) => "DeletionFailed",
            (Action::Label, true) => "LabelledBroken",
            (Action::Unlabel, true) => "LabelRemoved",
            (Action::Label | Action::Unlabel, false) => "LabellingFailed",
        }
    }
}

/// The text up to that length in bytes, without splitting a character.
fn truncated(text: &str, max: usize) -> &str {
    let mut ends = (0..=max.min(text.len())).rev();
    &text[..ends.find(|end| text.is_char_boundary(*end)).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_not_truncated_within_a_character() {
        assert_eq!(truncated("abc", 3), "abc");
        assert_eq!(truncated("abü", 3), "ab");
        assert_eq!(truncated("", 3), "");
    }
}
