//! Pod source `runtime`: what the container runtime itself hands over, and nobody is asked.
//!
//! That is the pod's name, its UID and, where the entry asks for the capability, its annotations.
//! The sidecar injector writes into one of them which containers it put into the pod, so that the
//! proxy is known; the rest of the pod is not.

use std::collections::BTreeMap;

use mesh_cni_selector::{ContainerFacts, PodFacts, RestartPolicy};
use mesh_cni_spec::PodArgs;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::FactsError;

/// The capability by which a runtime hands over a pod's annotations.
pub(crate) const CAPABILITY: &str = "io.kubernetes.cri.pod-annotations";

/// What the sidecar injector says that it did.
const STATUS: &str = "sidecar.istio.io/status";

/// The templates that it used.
const TEMPLATES: &str = "inject.istio.io/templates";

/// The proxy's container.
const PROXY: &str = "istio-proxy";

/// The template that makes a pod of the proxy alone.
const GATEWAY: &str = "gateway";

/// The template that puts Istio's agent into the pod and no Envoy, whatever templates are merged
/// with it.
const PROXYLESS: &str = "grpc-agent";

/// By this variable the agent runs no Envoy.
const DISABLE_ENVOY: &str = "DISABLE_ENVOY";

/// The name of the container that stands for those which the annotations do not tell.
const APPLICATION: &str = "(application)";

/// The names that the injector writes; either list may be `null`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Injected {
    #[serde(default)]
    init_containers: Option<Vec<String>>,
    #[serde(default)]
    containers: Option<Vec<String>>,
}

/// The facts about the pod that the configuration of this call holds.
pub(super) fn facts(conf: &Map<String, Value>, pod: &PodArgs) -> Result<PodFacts, FactsError> {
    let annotations = annotations(conf)?;
    let injected = injected(&annotations)?;
    let template = |name| uses(&annotations, name);
    let proxyless = template(PROXYLESS);
    let application = (!template(GATEWAY)).then(|| container(APPLICATION.to_owned()));
    let containers = injected.containers.unwrap_or_default().into_iter();
    let containers = containers.map(|name| injected_container(name, proxyless));
    let init = injected.init_containers.unwrap_or_default().into_iter();
    let init = init.map(|name| init_container(injected_container(name, proxyless)));
    Ok(PodFacts {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        annotations,
        containers: application.into_iter().chain(containers).collect(),
        init_containers: init.collect(),
        ..PodFacts::default()
    })
}

/// The annotations. A runtime that knows the capability hands over an object, or `null` for a pod
/// without any.
fn annotations(conf: &Map<String, Value>) -> Result<BTreeMap<String, String>, FactsError> {
    let given = conf
        .get("runtimeConfig")
        .and_then(|args| args.get(CAPABILITY));
    let given = given.ok_or(FactsError::NoCapability)?;
    let annotations = Option::<BTreeMap<String, String>>::deserialize(given);
    Ok(annotations
        .map_err(FactsError::Annotations)?
        .unwrap_or_default())
}

/// Whether the injector used that template.
fn uses(annotations: &BTreeMap<String, String>, template: &str) -> bool {
    let templates = annotations.get(TEMPLATES);
    templates.is_some_and(|names| names.split(',').any(|name| name.trim() == template))
}

fn injected(annotations: &BTreeMap<String, String>) -> Result<Injected, FactsError> {
    let status = annotations.get(STATUS).map(String::as_str);
    // An injector that has nothing to say writes nothing, or an empty text.
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

/// A container that the injector added; without Envoy the proxy says so, as in its manifest.
fn injected_container(name: String, proxyless: bool) -> ContainerFacts {
    let says_so = proxyless && name == PROXY;
    let variable = says_so.then(|| (DISABLE_ENVOY.to_owned(), "true".to_owned()));
    ContainerFacts {
        env: variable.into_iter().collect(),
        ..container(name)
    }
}

/// The injector puts the proxy among the init containers only as a native sidecar.
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
