//! Pod source `runtime`: what the container runtime passes with the call.
//!
//! That is the pod's name and UID and, if the plugin's entry has the capability, its annotations. In
//! one of them the sidecar injector lists the containers that it added, so the proxy is known. The
//! other containers are not.

use std::collections::BTreeMap;

use mesh_cni_selector::{ContainerFacts, PodFacts, RestartPolicy, proxy_variables};
use mesh_cni_spec::PodArgs;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::FactsError;

/// The capability with which a runtime passes a pod's annotations.
pub(crate) const CAPABILITY: &str = "io.kubernetes.cri.pod-annotations";

/// The annotation in which the sidecar injector lists what it added.
const STATUS: &str = "sidecar.istio.io/status";

/// The annotation with the injection templates.
const TEMPLATES: &str = "inject.istio.io/templates";

/// The name of the proxy's container.
const PROXY: &str = "istio-proxy";

/// The annotation with the pod's part of the proxy's configuration, in YAML.
const PROXY_CONFIG: &str = "proxy.istio.io/config";

/// The type of the proxy in the templates that Istio provides with one.
const PROXY_TYPES: [(&str, &str); 5] = [
    (SIDECAR, "sidecar"),
    (PROXYLESS, "sidecar"),
    ("gateway", GATEWAY_TYPE),
    ("kube-gateway", GATEWAY_TYPE),
    ("waypoint", "waypoint"),
];

/// The template of pods without the annotation.
const SIDECAR: &str = "sidecar";

/// The type of a gateway's proxy, which is usually alone in its pod.
const GATEWAY_TYPE: &str = "router";

/// The template that adds Istio's agent without Envoy, also when other templates are merged with it.
const PROXYLESS: &str = "grpc-agent";

/// The environment variable with which Istio's agent runs no Envoy.
const DISABLE_ENVOY: &str = "DISABLE_ENVOY";

/// The name of a container in place of those that the annotations do not list.
const APPLICATION: &str = "(application)";

/// The injector's lists of container names; either may be `null`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Injected {
    #[serde(default)]
    init_containers: Option<Vec<String>>,
    #[serde(default)]
    containers: Option<Vec<String>>,
}

/// The facts about the pod in the plugin's entry.
pub(super) fn facts(entry: &Map<String, Value>, pod: &PodArgs) -> Result<PodFacts, FactsError> {
    let annotations = annotations(entry)?;
    let injected = injected(&annotations)?;
    let mut containers: Vec<_> = named(injected.containers).collect();
    let mut init_containers: Vec<_> = named(injected.init_containers).collect();
    let proxy_type = proxy_type(&annotations);
    let application = (proxy_type != Some(GATEWAY_TYPE)).then(|| container(APPLICATION.to_owned()));
    for proxy in containers.iter_mut().chain(&mut init_containers) {
        if proxy.name == PROXY {
            proxy.args = ["proxy", proxy_type.unwrap_or_default()]
                .map(str::to_owned)
                .into();
            proxy.env = proxy_env(&annotations)?;
        }
    }
    for proxy in init_containers.iter_mut().filter(|each| each.name == PROXY) {
        // A proxy among the injected init containers is a native sidecar.
        proxy.restart_policy = RestartPolicy::Always;
    }
    Ok(PodFacts {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        annotations,
        containers: application.into_iter().chain(containers).collect(),
        init_containers,
        unknown_proxy_type: proxy_type.is_none(),
        ..PodFacts::default()
    })
}

/// The annotations. A runtime that knows the capability passes an object, or `null` for a pod without
/// annotations.
fn annotations(entry: &Map<String, Value>) -> Result<BTreeMap<String, String>, FactsError> {
    let annotations = entry
        .get("runtimeConfig")
        .and_then(|config| config.get(CAPABILITY))
        .ok_or(FactsError::NoCapability)?;
    Option::<BTreeMap<String, String>>::deserialize(annotations)
        .map(Option::unwrap_or_default)
        .map_err(FactsError::Annotations)
}

/// The names of the injection templates, in the order in which the injector merges them.
fn templates(annotations: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    let names = annotations.get(TEMPLATES).map_or(SIDECAR, String::as_str);
    names.split(',').map(str::trim)
}

/// The type of the proxy: the last template that sets its arguments replaces those of the others.
/// `None` if all templates are the cluster's own, whose content is not known.
fn proxy_type(annotations: &BTreeMap<String, String>) -> Option<&'static str> {
    let of_template = |name| {
        let mut known = PROXY_TYPES.iter();
        known.find(|(template, _)| *template == name)
    };
    let (_, proxy_type) = templates(annotations).filter_map(of_template).last()?;
    Some(proxy_type)
}

/// The proxy's variables that follow from the pod's annotations. Those that the mesh sets for every
/// pod are not known.
fn proxy_env(
    annotations: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, FactsError> {
    let config = annotations.get(PROXY_CONFIG).map(String::as_str);
    let mut env = config
        .map_or_else(|| Ok(BTreeMap::new()), proxy_variables)
        .map_err(FactsError::ProxyConfig)?;
    if templates(annotations).any(|name| name == PROXYLESS) {
        env.insert(DISABLE_ENVOY.to_owned(), "true".to_owned());
    }
    Ok(env)
}

fn injected(annotations: &BTreeMap<String, String>) -> Result<Injected, FactsError> {
    let status = annotations.get(STATUS).map(String::as_str);
    // Without an injection the annotation is missing or empty.
    match status.filter(|status| !status.trim().is_empty()) {
        None => Ok(Injected::default()),
        Some(status) => serde_json::from_str(status).map_err(FactsError::InjectionStatus),
    }
}

fn named(names: Option<Vec<String>>) -> impl Iterator<Item = ContainerFacts> {
    names.unwrap_or_default().into_iter().map(container)
}

fn container(name: String) -> ContainerFacts {
    ContainerFacts {
        name,
        ..ContainerFacts::default()
    }
}
