//! Where facts about a pod come from.

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
pub(crate) use error::{Blame, FactsError};

/// Where facts come from, for people.
const AGENT: &str = "the agent's answer";
const API: &str = "the API server's answer";
const RUNTIME: &str = "what the runtime hands over";

/// A question about a pod: on its way to the agent, where the agent is who answers it.
pub(crate) struct Question {
    agent: Option<Result<agent::Asked, FactsError>>,
}

/// Asks, if that takes another process's time: the answer is looked at when the rest is ready.
pub(crate) fn ask(conf: &MeshConf, pod: &PodArgs) -> Result<Question, FactsError> {
    check_name("K8S_POD_NAMESPACE", &pod.namespace)?;
    check_name("K8S_POD_NAME", &pod.name)?;
    let by_agent = matches!(conf.pod_source, PodSourceName::Agent | PodSourceName::Auto);
    let agent = by_agent.then(|| agent::ask(&agent_socket::path(conf), pod));
    Ok(Question { agent })
}

/// What is known about that pod; `entry` is the configuration as the runtime gave it.
pub(crate) fn facts(
    question: Question,
    conf: &MeshConf,
    entry: &Map<String, Value>,
    pod: &PodArgs,
) -> Result<PodFacts, FactsError> {
    let asked = question.agent;
    let agent = || {
        let asked = asked.unwrap_or_else(|| agent::ask(&agent_socket::path(conf), pod));
        asked?.facts()
    };
    let (origin, facts) = match conf.pod_source {
        PodSourceName::Agent => (AGENT.to_owned(), agent()?),
        PodSourceName::Api => (API.to_owned(), api::facts(conf, pod)?),
        PodSourceName::Auto => match agent() {
            Err(error) if error.is_agent_away() && has_kubeconfig(conf) => {
                (API.to_owned(), api::facts(conf, pod)?)
            }
            answer => (AGENT.to_owned(), answer?),
        },
        PodSourceName::File => {
            let (path, facts) = file::read(directory(conf)?, pod)?;
            (format!("manifest `{}`", path.display()), facts)
        }
        PodSourceName::Runtime => (RUNTIME.to_owned(), runtime::facts(entry, pod)?),
    };
    of_this_pod(origin, facts, pod)
}

/// Whether the source could answer now.
pub(crate) fn available(conf: &MeshConf) -> Result<(), FactsError> {
    let agent = || agent::available(&agent_socket::path(conf));
    match conf.pod_source {
        PodSourceName::Agent => agent(),
        PodSourceName::Api => api::available(conf),
        PodSourceName::Auto => match agent() {
            Err(error) if error.is_agent_away() && has_kubeconfig(conf) => api::available(conf),
            answer => answer,
        },
        PodSourceName::File => file::available(directory(conf)?),
        // What it needs comes with each call.
        PodSourceName::Runtime => Ok(()),
    }
}

/// Facts about another pod, or about an earlier one of that name, are never taken.
fn of_this_pod(origin: String, facts: PodFacts, pod: &PodArgs) -> Result<PodFacts, FactsError> {
    if (&facts.namespace, &facts.name) != (&pod.namespace, &pod.name) {
        return Err(FactsError::OtherPod {
            origin,
            found: format!("{}/{}", facts.namespace, facts.name),
            wanted: format!("{}/{}", pod.namespace, pod.name),
        });
    }
    match &pod.uid {
        Some(wanted) if !facts.is_of(wanted) => Err(FactsError::Predecessor {
            origin,
            found: facts.uid.unwrap_or_default(),
            wanted: wanted.clone(),
        }),
        _ => Ok(facts),
    }
}

fn has_kubeconfig(conf: &MeshConf) -> bool {
    conf.kubeconfig.as_ref().is_some_and(|path| path.exists())
}

fn directory(conf: &MeshConf) -> Result<&PathBuf, FactsError> {
    conf.pod_dir.as_ref().ok_or(FactsError::NoDirectory)
}

/// Names become a part of a path, so nothing but what Kubernetes allows may stand in them.
fn check_name(field: &'static str, value: &str) -> Result<(), FactsError> {
    if is_dns_subdomain(value) {
        return Ok(());
    }
    Err(FactsError::PodName {
        field,
        value: value.to_owned(),
    })
}
