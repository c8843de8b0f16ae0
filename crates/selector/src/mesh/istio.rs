//! Names that Istio uses in pods.

use super::Marks;

pub(super) const MARKS: Marks = Marks {
    proxy: PROXY_CONTAINER,
    init: "istio-init",
    validation: "istio-validation",
    validation_failed: 126,
};

/// The domains of the annotations that configure a sidecar.
pub(super) const DOMAINS: &[&str] = &[
    "inject.istio.io",
    "istio.io",
    "sidecar.istio.io",
    "status.sidecar.istio.io",
    "traffic.sidecar.istio.io",
];

/// The container that runs the proxy.
pub(crate) const PROXY_CONTAINER: &str = "istio-proxy";
/// The label and annotation that enable or disable injection of a sidecar.
pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
/// The annotation that the injector adds to each pod that it changes.
pub(crate) const STATUS: &str = "sidecar.istio.io/status";
/// The environment variable of the proxy container that disables Envoy.
pub(crate) const DISABLE_ENVOY: &str = "DISABLE_ENVOY";
/// The annotation with the way in which traffic reaches the proxy.
pub(crate) const INTERCEPTION_MODE: &str = "sidecar.istio.io/interceptionMode";
/// The environment variable of the proxy container with the mode that Envoy is set up for.
pub(crate) const PROXY_INTERCEPTION_MODE: &str = "ISTIO_META_INTERCEPTION_MODE";
/// The interception mode of a pod whose traffic is not redirected, although it has a proxy.
pub(crate) const NO_INTERCEPTION: &str = "NONE";
/// The annotation with the templates that the injector merges into the pod.
pub(crate) const TEMPLATES: &str = "inject.istio.io/templates";
/// The first argument of a proxy container; the second is the proxy's type.
pub(crate) const PROXY_COMMAND: &str = "proxy";
/// The type of a proxy that runs next to an application; gateways have other types.
pub(crate) const SIDECAR_TYPE: &str = "sidecar";
