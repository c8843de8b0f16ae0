//! The conditions of each selection, in order.

mod containers;
mod injection;
mod namespace;
mod proxy;

use crate::facts::PodFacts;
use crate::policy::{Policy, SelectionMode};
use crate::reason::SkipReason;
use crate::select::MissingFacts;

pub(crate) use self::containers::no_istio_proxy;

/// One condition: what must hold, and the function that finds out.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) find: fn(&PodFacts, &Policy) -> Finding,
}

/// How a condition turned out.
pub(crate) enum Finding {
    /// It holds, by this fact.
    Holds(String),
    /// It does not, for this reason.
    Broken(SkipReason),
    /// It cannot be found out without this fact.
    Unknown(MissingFacts),
}

const OWN_NETWORK: Check = Check {
    name: "the pod has a network of its own",
    find: containers::own_network,
};
const NAMESPACE: Check = Check {
    name: "its namespace is not excluded",
    find: namespace::not_excluded,
};
const HAS_PROXY: Check = Check {
    name: "it has a container named `istio-proxy`",
    find: containers::has_proxy,
};
const NOT_ALONE: Check = Check {
    name: "it has more than one container",
    find: containers::more_than_one,
};
const INJECTED: Check = Check {
    name: "injection is not disabled",
    find: injection::not_disabled,
};
const NOT_TRUE: Check = Check {
    name: "injection is not annotated `true`",
    find: injection::not_annotated_true,
};
const NO_INIT: Check = Check {
    name: "it has no container named `istio-init`",
    find: containers::no_init,
};
const ENVOY: Check = Check {
    name: "Envoy is not disabled",
    find: proxy::envoy_enabled,
};
const SIDECAR: Check = Check {
    name: "the proxy's type is `sidecar`",
    find: proxy::sidecar_type,
};
const STATUS: Check = Check {
    name: "an injector has marked it",
    find: injection::has_status,
};

/// The conditions of `selection`.
///
/// That the pod has a network of its own is our addition to all three, and comes first: rules
/// written for a pod on the host network would be written for the node.
pub(crate) fn of(selection: SelectionMode) -> &'static [Check] {
    match selection {
        SelectionMode::Asm => &[
            OWN_NETWORK,
            NAMESPACE,
            HAS_PROXY,
            NOT_ALONE,
            INJECTED,
            NO_INIT,
        ],
        SelectionMode::AsmLiteral => &[
            OWN_NETWORK,
            NAMESPACE,
            HAS_PROXY,
            NOT_ALONE,
            NOT_TRUE,
            NO_INIT,
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
        ],
    }
}
