//! Conditions on the pod's labels and annotations about injection.

use super::CheckResult;
use crate::boolean::parse_bool;
use crate::facts::PodFacts;
use crate::mesh::{istio, kuma};
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::{InjectSource, SkipReason};

/// As in Istio, a value that is not a boolean does not disable injection.
pub(super) fn not_disabled(facts: &PodFacts, _: &Policy) -> CheckResult {
    let name = istio::INJECT;
    let Some((source, value)) = inject(facts) else {
        return CheckResult::Holds(format!("the pod has no label or annotation `{name}`"));
    };
    let quoted = Quoted(value);
    match parse_bool(value) {
        Some(false) => CheckResult::Fails(SkipReason::InjectionDisabled {
            source,
            value: value.to_owned(),
        }),
        Some(true) => CheckResult::Holds(format!("{source} `{name}` is {quoted}")),
        None => CheckResult::Holds(format!(
            "{source} `{name}` is {quoted}, which is not a boolean"
        )),
    }
}

/// The condition as the ASM document prints it: no such annotation, or its value is not `true`.
/// Labels do not count.
pub(super) fn not_annotated_true(facts: &PodFacts, _: &Policy) -> CheckResult {
    let name = istio::INJECT;
    match facts.annotations.get(name).map(String::as_str) {
        Some("true") => CheckResult::Fails(SkipReason::InjectAnnotationTrue),
        Some(value) => CheckResult::Holds(format!("annotation `{name}` is {}", Quoted(value))),
        None => CheckResult::Holds(format!("the pod has no annotation `{name}`")),
    }
}

pub(super) fn has_status(facts: &PodFacts, _: &Policy) -> CheckResult {
    if facts.annotations.contains_key(istio::STATUS) {
        CheckResult::Holds(format!("annotation `{}` is present", istio::STATUS))
    } else {
        CheckResult::Fails(SkipReason::NoStatusAnnotation)
    }
}

/// Whether Kuma's injector added the sidecar. As in Kuma, only the exact value counts.
pub(super) fn by_kuma(facts: &PodFacts, _: &Policy) -> CheckResult {
    let value = facts.annotations.get(kuma::INJECTED);
    match value.map(String::as_str) {
        Some("true") => CheckResult::Holds(format!("annotation `{}` is `true`", kuma::INJECTED)),
        _ => CheckResult::Fails(SkipReason::NotInjected {
            value: value.cloned(),
        }),
    }
}

/// The value of the label, or else of the annotation.
fn inject(facts: &PodFacts) -> Option<(InjectSource, &str)> {
    [
        (InjectSource::Label, &facts.labels),
        (InjectSource::Annotation, &facts.annotations),
    ]
    .into_iter()
    .find_map(|(source, values)| Some((source, values.get(istio::INJECT)?.as_str())))
}
