//! Conditions on the environment and arguments of the proxy container.

use super::CheckResult;
use crate::boolean::parse_bool;
use crate::facts::{ContainerFacts, PodFacts};
use crate::mesh::{Mesh, istio};
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::SkipReason;
use crate::select::MissingFacts;

pub(super) fn envoy_enabled(facts: &PodFacts, _: &Policy) -> CheckResult {
    let name = istio::DISABLE_ENVOY;
    match facts
        .proxy(Mesh::Istio)
        .and_then(|proxy| proxy.container.env.get(name))
    {
        Some(value) if parse_bool(value) == Some(true) => {
            CheckResult::Fails(SkipReason::EnvoyDisabled {
                value: value.clone(),
            })
        }
        Some(value) => CheckResult::Holds(format!(
            "environment variable `{name}` is {}",
            Quoted(value)
        )),
        None => CheckResult::Holds(format!(
            "environment variable `{name}` has no value in the pod spec"
        )),
    }
}

/// As in Istio, a proxy without a type is a sidecar. One whose type is not known is not.
pub(super) fn sidecar_type(facts: &PodFacts, _: &Policy) -> CheckResult {
    if facts.unknown_proxy_type {
        return CheckResult::Unknown(unknown_type(facts));
    }
    match facts
        .proxy(Mesh::Istio)
        .and_then(|proxy| proxy_type(proxy.container))
    {
        Some(istio::SIDECAR_TYPE) => {
            CheckResult::Holds("its arguments start with `proxy sidecar`".into())
        }
        Some(other) => CheckResult::Fails(SkipReason::NotASidecarProxy {
            proxy_type: other.to_owned(),
        }),
        None => CheckResult::Holds("its arguments do not set a type".into()),
    }
}

/// What lacks to know whether the pod's `istio-proxy` is a sidecar.
pub(super) fn unknown_type(facts: &PodFacts) -> MissingFacts {
    let templates = facts.annotations.get(istio::TEMPLATES).cloned();
    MissingFacts::ProxyType {
        templates: templates.unwrap_or_default(),
    }
}

/// Whether the pod's `istio-proxy` runs as a gateway, without redirection.
pub(crate) fn is_gateway(facts: &PodFacts) -> bool {
    let proxy = facts.proxy(Mesh::Istio);
    let proxy_type = proxy.and_then(|proxy| proxy_type(proxy.container));
    proxy_type.is_some_and(|proxy_type| proxy_type != istio::SIDECAR_TYPE)
}

fn proxy_type(container: &ContainerFacts) -> Option<&str> {
    match container.args.as_slice() {
        [command, kind, ..] if command == istio::PROXY_COMMAND && !kind.is_empty() => Some(kind),
        _ => None,
    }
}
