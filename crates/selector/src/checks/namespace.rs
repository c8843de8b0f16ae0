//! The condition on the pod's namespace: first its name, then its labels.

use super::CheckResult;
use crate::facts::PodFacts;
use crate::labels::LabelSelector;
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::SkipReason;
use crate::select::MissingFacts;

pub(super) fn not_excluded(facts: &PodFacts, policy: &Policy) -> CheckResult {
    if let Some(reason) = policy.exclude_by_name(&facts.namespace) {
        return CheckResult::Fails(reason);
    }
    match &policy.exclude_namespace_selector {
        Some(selector) => not_excluded_by_labels(facts, selector),
        None => CheckResult::Holds(format!(
            "no exclusion applies to namespace {}",
            Quoted(&facts.namespace)
        )),
    }
}

/// Unknown labels are not the same as no labels, so they never decide.
fn not_excluded_by_labels(facts: &PodFacts, selector: &LabelSelector) -> CheckResult {
    let namespace = facts.namespace.clone();
    match &facts.namespace_labels {
        None => CheckResult::Unknown(MissingFacts::NamespaceLabels {
            namespace,
            field: "exclude_namespace_selector",
        }),
        Some(labels) if selector.matches(labels) => {
            CheckResult::Fails(SkipReason::NamespaceLabelsExcluded {
                namespace,
                selector: selector.clone(),
            })
        }
        Some(_) => CheckResult::Holds(format!(
            "no exclusion applies to namespace {} or its labels",
            Quoted(&namespace)
        )),
    }
}
