//! Names that Istio uses in pods.

/// The container that runs the proxy.
pub(crate) const PROXY_CONTAINER: &str = "istio-proxy";
/// The container that sets up the redirection itself, in pods that do not rely on a CNI plugin.
pub(crate) const INIT_CONTAINER: &str = "istio-init";
/// The label and annotation that enable or disable injection of a sidecar.
pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
/// The annotation that the injector adds to each pod that it changes.
pub(crate) const STATUS: &str = "sidecar.istio.io/status";
/// The environment variable of the proxy container that disables Envoy.
pub(crate) const DISABLE_ENVOY: &str = "DISABLE_ENVOY";
/// The first argument of a proxy container; the second is the proxy's type.
pub(crate) const PROXY_COMMAND: &str = "proxy";
/// The type of a proxy that runs next to an application; gateways have other types.
pub(crate) const SIDECAR_TYPE: &str = "sidecar";
/// The domains of the annotations that configure a sidecar.
pub(crate) const DOMAINS: [&str; 5] = [
    "inject.istio.io",
    "istio.io",
    "sidecar.istio.io",
    "status.sidecar.istio.io",
    "traffic.sidecar.istio.io",
];
