//! Conditions on the pod's network and its containers.

use super::CheckResult;
use crate::facts::{PodFacts, RestartPolicy, SidecarKind};
use crate::istio;
use crate::policy::Policy;
use crate::quoted::QuotedList;
use crate::reason::{ContainerList, SkipReason};

pub(super) fn own_network(facts: &PodFacts, _: &Policy) -> CheckResult {
    if facts.host_network {
        CheckResult::Fails(SkipReason::HostNetwork)
    } else {
        CheckResult::Holds("`hostNetwork` is not set".into())
    }
}

pub(super) fn has_proxy(facts: &PodFacts, _: &Policy) -> CheckResult {
    match facts.proxy().map(|proxy| proxy.kind) {
        Some(SidecarKind::Container) => CheckResult::Holds("it is a regular container".into()),
        Some(SidecarKind::Native) => {
            CheckResult::Holds("it is an init container with `restartPolicy: Always`".into())
        }
        None => CheckResult::Fails(no_istio_proxy(facts)),
    }
}

pub(super) fn more_than_one(facts: &PodFacts, _: &Policy) -> CheckResult {
    let containers = long_running_names(facts);
    if containers.len() > 1 {
        let (count, names) = (containers.len(), QuotedList(&containers));
        CheckResult::Holds(format!("the pod has {count}: {names}"))
    } else {
        CheckResult::Fails(SkipReason::SingleContainer { containers })
    }
}

pub(super) fn no_init(facts: &PodFacts, _: &Policy) -> CheckResult {
    [
        (ContainerList::Containers, &facts.containers),
        (ContainerList::InitContainers, &facts.init_containers),
    ]
    .into_iter()
    .find(|(_, list)| list.iter().any(|each| each.name == istio::INIT_CONTAINER))
    .map_or_else(
        || CheckResult::Holds("the pod has no such container".into()),
        |(list, _)| CheckResult::Fails(SkipReason::IstioInitPresent { list }),
    )
}

/// The reason to skip a pod without a proxy, with the names of the containers that it has.
pub(crate) fn no_istio_proxy(facts: &PodFacts) -> SkipReason {
    SkipReason::NoIstioProxy {
        containers: long_running_names(facts),
        init_containers: facts
            .init_containers
            .iter()
            .filter(|container| container.restart_policy != RestartPolicy::Always)
            .map(|container| container.name.clone())
            .collect(),
    }
}

fn long_running_names(facts: &PodFacts) -> Vec<String> {
    facts
        .long_running()
        .map(|(_, container)| container.name.clone())
        .collect()
}
