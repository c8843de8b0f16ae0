//! Conditions on how the proxy container runs.

use super::Finding;
use crate::boolean::parse_bool;
use crate::facts::{ContainerFacts, PodFacts};
use crate::istio;
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::SkipReason;

pub(super) fn envoy_enabled(facts: &PodFacts, _: &Policy) -> Finding {
    let name = istio::DISABLE_ENVOY;
    match facts
        .proxy()
        .and_then(|proxy| proxy.container.env.get(name))
    {
        Some(value) if parse_bool(value) == Some(true) => {
            Finding::Broken(SkipReason::EnvoyDisabled {
                value: value.clone(),
            })
        }
        Some(value) => Finding::Holds(format!("variable `{name}` is {}", Quoted(value))),
        None => Finding::Holds(format!("no variable `{name}` with a value in the pod")),
    }
}

/// A proxy that names no type is taken for a sidecar, as in Istio.
pub(super) fn sidecar_type(facts: &PodFacts, _: &Policy) -> Finding {
    match facts.proxy().and_then(|proxy| proxy_type(proxy.container)) {
        Some(istio::SIDECAR_TYPE) => {
            Finding::Holds("its arguments begin with `proxy sidecar`".into())
        }
        Some(other) => Finding::Broken(SkipReason::NotASidecarProxy {
            proxy_type: other.to_owned(),
        }),
        None => Finding::Holds("its arguments name no type".into()),
    }
}

fn proxy_type(container: &ContainerFacts) -> Option<&str> {
    match container.args.as_slice() {
        [command, kind, ..] if command == istio::PROXY_COMMAND && !kind.is_empty() => Some(kind),
        _ => None,
    }
}
