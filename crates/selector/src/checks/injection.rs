//! Conditions on what the pod says about injection.

use super::Finding;
use crate::boolean::parse_bool;
use crate::facts::PodFacts;
use crate::istio;
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::{InjectSource, SkipReason};

/// A value that is no boolean disables nothing, as in Istio.
pub(super) fn not_disabled(facts: &PodFacts, _: &Policy) -> Finding {
    let name = istio::INJECT;
    let Some((source, value)) = inject(facts) else {
        return Finding::Holds(format!("neither a label nor an annotation `{name}`"));
    };
    match parse_bool(value) {
        Some(false) => Finding::Broken(SkipReason::InjectionDisabled {
            source,
            value: value.to_owned(),
        }),
        Some(true) => Finding::Holds(format!("{source} `{name}` is {}", Quoted(value))),
        None => Finding::Holds(format!(
            "{source} `{name}` is {}, which is no boolean",
            Quoted(value)
        )),
    }
}

/// The document's words: no such annotation, or its value is not `true`. Labels are not looked at.
pub(super) fn not_annotated_true(facts: &PodFacts, _: &Policy) -> Finding {
    let name = istio::INJECT;
    match facts.annotations.get(name).map(String::as_str) {
        Some("true") => Finding::Broken(SkipReason::InjectAnnotationTrue),
        Some(value) => Finding::Holds(format!("annotation `{name}` is {}", Quoted(value))),
        None => Finding::Holds(format!("no annotation `{name}`")),
    }
}

pub(super) fn has_status(facts: &PodFacts, _: &Policy) -> Finding {
    if facts.annotations.contains_key(istio::STATUS) {
        Finding::Holds(format!("annotation `{}` is present", istio::STATUS))
    } else {
        Finding::Broken(SkipReason::NoStatusAnnotation)
    }
}

/// What the pod says about injection; where both say something, the label counts alone.
fn inject(facts: &PodFacts) -> Option<(InjectSource, &str)> {
    let label = facts.labels.get(istio::INJECT);
    let annotation = facts.annotations.get(istio::INJECT);
    label
        .map(|value| (InjectSource::Label, value.as_str()))
        .or_else(|| annotation.map(|value| (InjectSource::Annotation, value.as_str())))
}
