//! What people read of a repair: an Event on the pod.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::diagnosis::Remedy;
use crate::kube::pod::Pod;

/// Who says so.
const REPORTER: &str = "mesh-cni/agent";

/// The longest note that the API server takes, in bytes.
const LONGEST: usize = 1024;

/// What an Event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// What was done, or tried.
    pub(super) remedy: Remedy,
    /// What came of it; an error has its remedy in it.
    pub(super) outcome: Result<String, String>,
}

impl Notice {
    /// The Event, as `events.k8s.io/v1` has it.
    pub(super) fn event(&self, pod: &Pod, node: &str, now: SystemTime) -> Value {
        let (kind, words) = match &self.outcome {
            Ok(words) => ("Normal", words),
            Err(words) => ("Warning", words),
        };
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "generateName": format!("{}-", pod.name.name),
                "namespace": pod.name.namespace,
            },
            "eventTime": humantime::format_rfc3339_micros(now).to_string(),
            "reportingController": REPORTER,
            "reportingInstance": shortened(node, 128),
            "action": self.action(),
            "reason": self.reason(),
            "type": kind,
            "note": shortened(words, LONGEST),
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
        match self.remedy {
            Remedy::InPlace => "RepairInPlace",
            Remedy::Delete => "DeletePod",
            Remedy::Label | Remedy::Unlabel => "LabelPod",
        }
    }

    fn reason(&self) -> &'static str {
        match (self.remedy, self.outcome.is_ok()) {
            (Remedy::InPlace, true) => "Repaired",
            (Remedy::InPlace, false) => "RepairFailed",
            (Remedy::Delete, true) => "DeletedForRepair",
            (Remedy::Delete, false) => "DeletionFailed",
            (Remedy::Label, true) => "LabelledBroken",
            (Remedy::Unlabel, true) => "LabelRemoved",
            (Remedy::Label | Remedy::Unlabel, false) => "LabellingFailed",
        }
    }
}

/// As much of the text as fits, at the border of a character.
fn shortened(text: &str, most: usize) -> String {
    let ends = text.char_indices().map(|(at, sign)| at + sign.len_utf8());
    let end = ends.take_while(|end| *end <= most).last().unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_ends_at_a_character() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abü", 3), "ab");
        assert_eq!(shortened("", 3), "");
    }
}
