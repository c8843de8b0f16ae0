//! The conditions of each selection mode, in order.

mod containers;
mod injection;
mod interception;
mod namespace;
mod proxy;

use crate::facts::PodFacts;
use crate::policy::{Policy, SelectionMode};
use crate::reason::SkipReason;
use crate::select::MissingFacts;

pub(crate) use self::containers::no_istio_proxy;

/// A condition: its name and the function that evaluates it.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&PodFacts, &Policy) -> CheckResult,
}

/// The result of a check.
pub(crate) enum CheckResult {
    /// The condition holds because of this fact.
    Holds(String),
    /// The condition fails for this reason.
    Fails(SkipReason),
    /// The condition cannot be evaluated without this fact.
    Unknown(MissingFacts),
}

impl Check {
    const fn new(name: &'static str, run: fn(&PodFacts, &Policy) -> CheckResult) -> Self {
        Self { name, run }
    }
}

const OWN_NETWORK: Check = Check::new("the pod has its own network", containers::own_network);
const NAMESPACE: Check = Check::new("its namespace is not excluded", namespace::not_excluded);
const HAS_PROXY: Check = Check::new(
    "it has a container named `istio-proxy`",
    containers::has_proxy,
);
const NOT_ALONE: Check = Check::new("it has more than one container", containers::more_than_one);
const INJECTED: Check = Check::new("injection is not disabled", injection::not_disabled);
const NOT_TRUE: Check = Check::new(
    "injection is not annotated `true`",
    injection::not_annotated_true,
);
const NO_INIT: Check = Check::new(
    "it has no container named `istio-init`",
    containers::no_init,
);
const ENVOY: Check = Check::new("Envoy is not disabled", proxy::envoy_enabled);
const SIDECAR: Check = Check::new("the proxy's type is `sidecar`", proxy::sidecar_type);
const INTERCEPTED: Check = Check::new(
    "the interception mode is not `NONE`",
    interception::not_none,
);
const STATUS: Check = Check::new("a sidecar was injected", injection::has_status);

/// The conditions of a mode.
///
/// Each mode starts with [`OWN_NETWORK`] and ends with [`INTERCEPTED`], which are additions to the
/// ASM document and to Istio's plugin: rules for a pod on the host network would apply to the whole
/// node, and in mode `NONE` no listener of the proxy accepts redirected connections.
pub(crate) fn of(mode: SelectionMode) -> &'static [Check] {
    match mode {
        SelectionMode::Asm => &[
            OWN_NETWORK,
            NAMESPACE,
            HAS_PROXY,
            NOT_ALONE,
            INJECTED,
            NO_INIT,
            ENVOY,
            SIDECAR,
            INTERCEPTED,
        ],
        SelectionMode::AsmLiteral => &[
            OWN_NETWORK,
            NAMESPACE,
            HAS_PROXY,
            NOT_ALONE,
            NOT_TRUE,
            NO_INIT,
            INTERCEPTED,
        ],
        SelectionMode::Istio => &[
            OWN_NETWORK,
            NAMESPACE,
            NO_INIT,
            ENVOY,
            HAS_PROXY,
            SIDECAR,
            INJECTED,
            STATUS,
            INTERCEPTED,
        ],
    }
}
