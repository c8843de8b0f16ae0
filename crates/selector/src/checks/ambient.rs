//! Conditions for pods that ztunnel serves.

use super::proxy::unknown_type;
use super::{CheckResult, is_gateway};
use crate::facts::PodFacts;
use crate::mesh::ambient::ZTUNNEL_LABEL;
use crate::mesh::{Mesh, istio};
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::{NotAmbient, SkipReason};
use crate::select::MissingFacts;

pub(super) fn not_ztunnel(facts: &PodFacts, policy: &Policy) -> CheckResult {
    let (key, value) = ZTUNNEL_LABEL;
    let is_labelled = facts.labels.get(key).is_some_and(|label| label == value);
    if is_labelled && facts.namespace == policy.ambient.system_namespace {
        fails(NotAmbient::Ztunnel {
            namespace: facts.namespace.clone(),
        })
    } else {
        CheckResult::Holds(format!(
            "it is not a ztunnel pod in {}",
            Quoted(&policy.ambient.system_namespace)
        ))
    }
}

/// As in Istio, the annotation of the injector is enough, whatever its value. Sidecars of other meshes
/// redirect the same packets.
pub(super) fn no_sidecar(facts: &PodFacts, _: &Policy) -> CheckResult {
    if facts.annotations.contains_key(istio::STATUS) {
        return fails(NotAmbient::SidecarInjected);
    }
    let is_sidecar =
        |mesh: &Mesh| facts.proxy(*mesh).is_some() && (*mesh != Mesh::Istio || !is_gateway(facts));
    match Mesh::ALL.into_iter().find(is_sidecar) {
        Some(Mesh::Istio) if facts.unknown_proxy_type => CheckResult::Unknown(unknown_type(facts)),
        Some(mesh) => fails(NotAmbient::SidecarPresent { mesh }),
        None => CheckResult::Holds("the pod has no sidecar of a mesh".into()),
    }
}

/// Labels of the namespace that are not known are not the same as none, so they never decide.
pub(super) fn enabled(facts: &PodFacts, policy: &Policy) -> CheckResult {
    let namespace = facts.namespace_labels.as_ref();
    let mut unknown = false;
    for selector in &policy.ambient.selectors {
        match selector.matches(&facts.labels, namespace) {
            Some(true) => return CheckResult::Holds(format!("{selector} matches")),
            Some(false) => {}
            None => unknown = true,
        }
    }
    if unknown {
        return CheckResult::Unknown(MissingFacts::NamespaceLabels {
            namespace: facts.namespace.clone(),
            field: "ambient.enablement_selectors",
        });
    }
    fails(NotAmbient::NotEnabled {
        labels: policy.ambient.describe(&facts.labels, namespace),
        meshes: policy.sidecars(),
    })
}

fn fails(reason: NotAmbient) -> CheckResult {
    CheckResult::Fails(SkipReason::NotAmbient(reason))
}
