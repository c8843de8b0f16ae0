//! Pod source `runtime`: what the container runtime passes with the call.
//!
//! That is the pod's name and UID and, if the plugin's entry has the capability, its annotations. In
//! one of them the sidecar injector lists the containers that it added, so the proxy is known. The
//! other containers are not.

use std::collections::BTreeMap;

use mesh_cni_selector::{ContainerFacts, PodFacts, RestartPolicy};
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

/// The template for a pod that contains only the proxy.
const GATEWAY: &str = "gateway";

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
    let template = |name| uses(&annotations, name);
    let proxyless = template(PROXYLESS);
    let application = (!template(GATEWAY)).then(|| container(APPLICATION.to_owned()));
    let containers = injected
        .containers
        .unwrap_or_default()
        .into_iter()
        .map(|name| injected_container(name, proxyless));
    let init_containers = injected
        .init_containers
        .unwrap_or_default()
        .into_iter()
        .map(|name| init_container(injected_container(name, proxyless)));
    Ok(PodFacts {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        annotations,
        containers: application.into_iter().chain(containers).collect(),
        init_containers: init_containers.collect(),
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

/// Whether the pod uses that injection template.
fn uses(annotations: &BTreeMap<String, String>, template: &str) -> bool {
    let templates = annotations.get(TEMPLATES);
    templates.is_some_and(|names| names.split(',').any(|name| name.trim() == template))
}

fn injected(annotations: &BTreeMap<String, String>) -> Result<Injected, FactsError> {
    let status = annotations.get(STATUS).map(String::as_str);
    // Without an injection the annotation is missing or empty.
    match status.filter(|status| !status.trim().is_empty()) {
        None => Ok(Injected::default()),
        Some(status) => serde_json::from_str(status).map_err(FactsError::InjectionStatus),
    }
}

fn container(name: String) -> ContainerFacts {
    ContainerFacts {
        name,
        ..ContainerFacts::default()
    }
}

/// A container that the injector added. A proxy without Envoy has the variable of its manifest.
fn injected_container(name: String, proxyless: bool) -> ContainerFacts {
    let variable =
        (proxyless && name == PROXY).then(|| (DISABLE_ENVOY.to_owned(), "true".to_owned()));
    ContainerFacts {
        env: variable.into_iter().collect(),
        ..container(name)
    }
}

/// A proxy among the injected init containers is a native sidecar.
fn init_container(container: ContainerFacts) -> ContainerFacts {
    let restart_policy = match container.name.as_str() {
        PROXY => RestartPolicy::Always,
        _ => RestartPolicy::Inherited,
    };
    ContainerFacts {
        restart_policy,
        ..container
    }
}
