//! The condition on the pod's namespace: by name, then by labels.

use super::Finding;
use crate::facts::PodFacts;
use crate::labels::LabelSelector;
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::SkipReason;
use crate::select::MissingFacts;

pub(super) fn not_excluded(facts: &PodFacts, policy: &Policy) -> Finding {
    if let Some(reason) = policy.exclude_by_name(&facts.namespace) {
        return Finding::Broken(reason);
    }
    match &policy.exclude_namespace_selector {
        Some(selector) => not_excluded_by_labels(facts, selector),
        None => Finding::Holds(format!(
            "no exclusion covers namespace {}",
            Quoted(&facts.namespace)
        )),
    }
}

/// Labels that nobody looked up are not empty labels: taking them for empty would let a pod in, or
/// keep it out, by a fact that nobody has seen.
fn not_excluded_by_labels(facts: &PodFacts, selector: &LabelSelector) -> Finding {
    let namespace = facts.namespace.clone();
    match &facts.namespace_labels {
        None => Finding::Unknown(MissingFacts::NamespaceLabels { namespace }),
        Some(labels) if selector.matches(labels) => {
            Finding::Broken(SkipReason::NamespaceLabelsExcluded {
                namespace,
                selector: selector.clone(),
            })
        }
        Some(_) => Finding::Holds(format!(
            "no exclusion covers namespace {} or its labels",
            Quoted(&namespace)
        )),
    }
}
