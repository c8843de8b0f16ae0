//! The words of the Kubernetes Event that reports an action on a pod.

use super::diagnosis::Action;

pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::RepairInPlace => "RepairInPlace",
        Action::Delete => "DeletePod",
        Action::Label | Action::Unlabel => "LabelPod",
    }
}

pub(super) fn reason(action: Action, is_done: bool) -> &'static str {
    match (action, is_done) {
        (Action::RepairInPlace, true) => "Repaired",
        (Action::RepairInPlace, false) => "RepairFailed",
        (Action::Delete, true) => "DeletedForRepair",
        (Action::Delete, false) => "DeletionFailed",
        (Action::Label, true) => "LabelledBroken",
        (Action::Unlabel, true) => "LabelRemoved",
        (Action::Label | Action::Unlabel, false) => "LabellingFailed",
    }
}
