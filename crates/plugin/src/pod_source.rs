//! Where the facts about a pod come from.

mod agent;
mod api;
mod error;
mod file;
mod kubeconfig;
mod runtime;

use std::path::PathBuf;

use mesh_cni_plan::{MeshConf, PodSourceName};
use mesh_cni_selector::{PodFacts, is_dns_subdomain};
use mesh_cni_spec::PodArgs;
use serde_json::{Map, Value};

use crate::agent_socket;
pub(crate) use error::{Category, FactsError};
pub(crate) use kubeconfig::current_server;

/// A request for the facts about a pod. If the agent answers it, it is already sent.
pub(crate) struct FactsRequest {
    agent: Option<agent::Pending>,
}

/// Starts a request for the facts about that pod.
pub(crate) fn request(conf: &MeshConf, pod: &PodArgs) -> Result<FactsRequest, FactsError> {
    check_name("K8S_POD_NAMESPACE", &pod.namespace)?;
    check_name("K8S_POD_NAME", &pod.name)?;
    let uses_agent = matches!(conf.pod_source, PodSourceName::Agent | PodSourceName::Auto);
    let agent = uses_agent.then(|| agent::request(agent_socket::path(conf), pod));
    Ok(FactsRequest { agent })
}

impl FactsRequest {
    /// The facts; `entry` is the plugin's entry as the runtime passed it.
    pub(crate) fn facts(
        self,
        conf: &MeshConf,
        entry: &Map<String, Value>,
        pod: &PodArgs,
    ) -> Result<PodFacts, FactsError> {
        let from_api = || Ok(("the API server's answer".to_owned(), api::facts(conf, pod)?));
        let (origin, facts) = match conf.pod_source {
            PodSourceName::Agent | PodSourceName::Auto => {
                let agent = self
                    .agent
                    .expect("the request was sent for these pod sources");
                match agent.facts(|| !has_api(conf)) {
                    Err(error) if use_api_instead(conf, &error) => from_api()?,
                    facts => ("the agent's answer".to_owned(), facts?),
                }
            }
            PodSourceName::Api => from_api()?,
            PodSourceName::File => {
                let (path, facts) = file::read(directory(conf)?, pod)?;
                (format!("manifest `{}`", path.display()), facts)
            }
            PodSourceName::Runtime => ("runtimeConfig".to_owned(), runtime::facts(entry, pod)?),
        };
        check_identity(origin, facts, pod)
    }
}

/// Whether the pod source could answer now.
pub(crate) fn available(conf: &MeshConf) -> Result<(), FactsError> {
    match conf.pod_source {
        PodSourceName::Agent | PodSourceName::Auto => {
            match agent::available(&agent_socket::path(conf)) {
                Err(error) if use_api_instead(conf, &error) => api::available(conf),
                result => result,
            }
        }
        PodSourceName::Api => api::available(conf),
        PodSourceName::File => file::available(directory(conf)?),
        // The facts come with each call.
        PodSourceName::Runtime => Ok(()),
    }
}

/// Whether pod source `auto` continues with the API server after that error of the agent.
fn use_api_instead(conf: &MeshConf, error: &FactsError) -> bool {
    error.is_agent_unavailable() && has_api(conf)
}

/// Whether pod source `auto` has a kubeconfig.
fn has_api(conf: &MeshConf) -> bool {
    conf.pod_source == PodSourceName::Auto
        && conf.kubeconfig.as_ref().is_some_and(|path| path.exists())
}

/// Refuses facts about another pod, or about an earlier pod with the same name.
fn check_identity(origin: String, facts: PodFacts, pod: &PodArgs) -> Result<PodFacts, FactsError> {
    if (&facts.namespace, &facts.name) != (&pod.namespace, &pod.name) {
        return Err(FactsError::OtherPod {
            origin,
            found: format!("{}/{}", facts.namespace, facts.name),
            wanted: format!("{}/{}", pod.namespace, pod.name),
        });
    }
    match &pod.uid {
        Some(wanted) if !facts.is_of(wanted) => Err(FactsError::EarlierPod {
            origin,
            found: facts.uid.unwrap_or_default(),
            wanted: wanted.clone(),
        }),
        _ => Ok(facts),
    }
}

fn directory(conf: &MeshConf) -> Result<&PathBuf, FactsError> {
    conf.pod_dir.as_ref().ok_or(FactsError::NoDirectory)
}

/// Names become part of a path, so only valid Kubernetes names are accepted.
fn check_name(field: &'static str, value: &str) -> Result<(), FactsError> {
    if is_dns_subdomain(value) {
        return Ok(());
    }
    Err(FactsError::PodName {
        field,
        value: value.to_owned(),
    })
}
