//! Conditions on the pod's network and its containers.

use super::Finding;
use crate::facts::{PodFacts, RestartPolicy, SidecarKind};
use crate::istio;
use crate::policy::Policy;
use crate::quoted::QuotedList;
use crate::reason::{ContainerList, SkipReason};

pub(super) fn own_network(facts: &PodFacts, _: &Policy) -> Finding {
    if facts.host_network {
        Finding::Broken(SkipReason::HostNetwork)
    } else {
        Finding::Holds("`hostNetwork` is not set".into())
    }
}

pub(super) fn has_proxy(facts: &PodFacts, _: &Policy) -> Finding {
    match facts.proxy().map(|proxy| proxy.kind) {
        Some(SidecarKind::Container) => Finding::Holds("it is one of the containers".into()),
        Some(SidecarKind::Native) => {
            Finding::Holds("it is an init container with `restartPolicy: Always`".into())
        }
        None => Finding::Broken(no_istio_proxy(facts)),
    }
}

pub(super) fn more_than_one(facts: &PodFacts, _: &Policy) -> Finding {
    let containers = staying(facts);
    if containers.len() > 1 {
        Finding::Holds(format!(
            "the pod has {}: {}",
            containers.len(),
            QuotedList(&containers)
        ))
    } else {
        Finding::Broken(SkipReason::SingleContainer { containers })
    }
}

pub(super) fn no_init(facts: &PodFacts, _: &Policy) -> Finding {
    let lists = [
        (ContainerList::Containers, &facts.containers),
        (ContainerList::InitContainers, &facts.init_containers),
    ];
    let found = lists.into_iter().find(|(_, list)| {
        list.iter()
            .any(|container| container.name == istio::INIT_CONTAINER)
    });
    match found {
        Some((list, _)) => Finding::Broken(SkipReason::IstioInitPresent { list }),
        None => Finding::Holds("neither list of containers has one".into()),
    }
}

/// The reason that the pod has no proxy, with the names that it has instead.
pub(crate) fn no_istio_proxy(facts: &PodFacts) -> SkipReason {
    let ending = facts
        .init_containers
        .iter()
        .filter(|container| container.restart_policy != RestartPolicy::Always);
    SkipReason::NoIstioProxy {
        containers: staying(facts),
        init_containers: ending.map(|container| container.name.clone()).collect(),
    }
}

/// The names of the containers that run as long as the pod does.
fn staying(facts: &PodFacts) -> Vec<String> {
    facts
        .long_running()
        .map(|(_, container)| container.name.clone())
        .collect()
}
