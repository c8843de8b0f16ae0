//! The names by which Istio marks pods, spelled as Istio spells them.

/// The container that carries the proxy.
pub(crate) const PROXY_CONTAINER: &str = "istio-proxy";
/// The container that redirects the pod's traffic by itself, where it is present.
pub(crate) const INIT_CONTAINER: &str = "istio-init";
/// Label and annotation by which a pod asks for a sidecar or declines it.
pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
/// Annotation that the injector leaves on each pod it has changed.
pub(crate) const STATUS: &str = "sidecar.istio.io/status";
/// Environment variable of the proxy container that switches Envoy off.
pub(crate) const DISABLE_ENVOY: &str = "DISABLE_ENVOY";
/// The first argument of a proxy container; the one after it is the proxy's type.
pub(crate) const PROXY_COMMAND: &str = "proxy";
/// The proxy type that stands beside an application (others are gateways).
pub(crate) const SIDECAR_TYPE: &str = "sidecar";
