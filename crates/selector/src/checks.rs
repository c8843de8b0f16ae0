//! The conditions for pods of each mesh, in order.

mod ambient;
mod containers;
mod injection;
mod interception;
mod namespace;
mod proxy;

use crate::facts::PodFacts;
use crate::mesh::Mesh;
use crate::policy::{Policy, SelectionMode};
use crate::reason::{ContainerList, SkipReason};
use crate::select::MissingFacts;

pub(crate) use self::containers::no_proxy;
pub(crate) use self::proxy::is_gateway;

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
const HAS_PROXY: Check = Check::new("it has a container named `istio-proxy`", |facts, _| {
    containers::has_proxy(Mesh::Istio, facts)
});
const NOT_ALONE: Check = Check::new("it has more than one container", containers::more_than_one);
const INJECTED: Check = Check::new("injection is not disabled", injection::not_disabled);
const NOT_TRUE: Check = Check::new(
    "injection is not annotated `true`",
    injection::not_annotated_true,
);
const NO_INIT: Check = Check::new("it has no container named `istio-init`", |facts, _| {
    let lists = [ContainerList::Containers, ContainerList::InitContainers];
    containers::no_init(Mesh::Istio, &lists, facts)
});
const ENVOY: Check = Check::new("Envoy is not disabled", proxy::envoy_enabled);
const SIDECAR: Check = Check::new("the proxy's type is `sidecar`", proxy::sidecar_type);
const INTERCEPTED: Check = Check::new(
    "the interception mode is not `NONE`",
    interception::not_none,
);
const STATUS: Check = Check::new("a sidecar was injected", injection::has_status);

const NO_LINKERD_INIT: Check = Check::new(
    "it has no init container named `linkerd-init`",
    |facts, _| containers::no_init(Mesh::Linkerd, &[ContainerList::InitContainers], facts),
);
const HAS_LINKERD_PROXY: Check =
    Check::new("it has a container named `linkerd-proxy`", |facts, _| {
        containers::has_proxy(Mesh::Linkerd, facts)
    });

const NO_KUMA_INIT: Check = Check::new("it has no init container named `kuma-init`", |facts, _| {
    containers::no_init(Mesh::Kuma, &[ContainerList::InitContainers], facts)
});
const HAS_KUMA_SIDECAR: Check =
    Check::new("it has a container named `kuma-sidecar`", |facts, _| {
        containers::has_proxy(Mesh::Kuma, facts)
    });
const INJECTED_BY_KUMA: Check = Check::new("Kuma injected its sidecar", injection::by_kuma);

const NOT_ZTUNNEL: Check = Check::new("it is not ztunnel itself", ambient::not_ztunnel);
const NO_SIDECAR: Check = Check::new("it has no sidecar", ambient::no_sidecar);
const ENABLED: Check = Check::new("ambient mode is enabled by its labels", ambient::enabled);

/// The first conditions of every mesh.
///
/// [`OWN_NETWORK`] is an addition to the ASM document and to the plugins of the meshes: rules for a
/// pod on the host network would apply to the whole node.
pub(crate) const COMMON: &[Check] = &[OWN_NETWORK, NAMESPACE];

/// The other conditions for a pod of the mesh.
pub(crate) fn of(mesh: Mesh, mode: SelectionMode) -> &'static [Check] {
    match mesh {
        Mesh::Istio => of_istio(mode),
        Mesh::Linkerd => &[NO_LINKERD_INIT, HAS_LINKERD_PROXY],
        Mesh::Kuma => &[NO_KUMA_INIT, HAS_KUMA_SIDECAR, INJECTED_BY_KUMA],
        Mesh::Ambient => &[NOT_ZTUNNEL, NO_SIDECAR, ENABLED],
    }
}

/// Each mode ends with [`INTERCEPTED`], which is an addition to the ASM document and to Istio's
/// plugin: in mode `NONE` no listener of the proxy accepts redirected connections.
fn of_istio(mode: SelectionMode) -> &'static [Check] {
    match mode {
        SelectionMode::Asm => &[
            HAS_PROXY,
            NOT_ALONE,
            INJECTED,
            NO_INIT,
            ENVOY,
            SIDECAR,
            INTERCEPTED,
        ],
        SelectionMode::AsmLiteral => &[HAS_PROXY, NOT_ALONE, NOT_TRUE, NO_INIT, INTERCEPTED],
        SelectionMode::Istio => &[
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
