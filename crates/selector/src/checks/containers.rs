//! Conditions on the pod's network and its containers.

use super::CheckResult;
use crate::facts::{PodFacts, RestartPolicy, SidecarKind};
use crate::mesh::{Mesh, MeshSet};
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

pub(super) fn has_proxy(mesh: Mesh, facts: &PodFacts) -> CheckResult {
    match facts.proxy(mesh).map(|proxy| proxy.kind) {
        Some(SidecarKind::Container) => CheckResult::Holds("it is a regular container".into()),
        Some(SidecarKind::Native) => {
            CheckResult::Holds("it is an init container with `restartPolicy: Always`".into())
        }
        None => CheckResult::Fails(no_proxy(mesh.into(), facts)),
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

/// In these lists, since the container that sets up the redirection is in one of them.
pub(super) fn no_init(mesh: Mesh, lists: &[ContainerList], facts: &PodFacts) -> CheckResult {
    let init = mesh.marks().map(|marks| marks.init);
    let has_init = |list: &&ContainerList| {
        let mut containers = match list {
            ContainerList::Containers => facts.containers.iter(),
            ContainerList::InitContainers => facts.init_containers.iter(),
        };
        containers.any(|each| init == Some(each.name.as_str()))
    };
    match lists.iter().find(has_init) {
        Some(&list) => CheckResult::Fails(SkipReason::InitPresent { mesh, list }),
        None => CheckResult::Holds("the pod has no such container".into()),
    }
}

/// The reason to skip a pod without a proxy, with the names of the containers that it has.
pub(crate) fn no_proxy(meshes: MeshSet, facts: &PodFacts) -> SkipReason {
    SkipReason::NoProxy {
        meshes,
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
