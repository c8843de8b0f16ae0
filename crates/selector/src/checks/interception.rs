//! The condition on the interception mode.

use super::CheckResult;
use crate::facts::PodFacts;
use crate::mesh::{Mesh, istio};
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::{ModeSource, SkipReason};

/// The annotation has precedence, as in the injector, which sets the variable in every pod.
pub(super) fn not_none(facts: &PodFacts, _: &Policy) -> CheckResult {
    let proxy_env = facts.proxy(Mesh::Istio).map(|proxy| &proxy.container.env);
    let found = [
        (ModeSource::Annotation, Some(&facts.annotations)),
        (ModeSource::Environment, proxy_env),
    ]
    .into_iter()
    .find_map(|(source, values)| Some((source, values?.get(source.name())?.trim())));
    match found {
        Some((source, istio::NO_INTERCEPTION)) => {
            CheckResult::Fails(SkipReason::ModeNone { source })
        }
        Some((source, mode)) => CheckResult::Holds(format!("{source} is {}", Quoted(mode))),
        None => CheckResult::Holds(format!(
            "the pod has no annotation `{}`",
            istio::INTERCEPTION_MODE
        )),
    }
}
