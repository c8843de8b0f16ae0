//! Opens the network namespace of a pod, for repair and for the page.

use std::io;
use std::net::IpAddr;

use mesh_cni_netns::{
    ContainerProcess, EnterError, NetNs, NetnsOwner, ProcessError, ProcessTable,
    interface_addresses,
};
use thiserror::Error;

use crate::kube::store::PodStore;
use mesh_cni_kube::pod::Pod;

/// Why the network namespace of a pod was not opened.
#[derive(Debug, Error)]
pub(crate) enum PodNetnsError {
    /// It was not found through a process of the pod.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The pod has no address that identifies its namespace.
    #[error("the API server reports no address of the pod yet")]
    NoAddress,
    /// The process is in another namespace than the pod's addresses.
    #[error("none of the pod's addresses is in the namespace of its process: {}", join(.0))]
    OtherNetwork(Vec<IpAddr>),
    /// The namespace cannot be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The addresses in the namespace cannot be read.
    #[error("cannot read the addresses in the pod's network namespace")]
    Addresses(#[source] io::Error),
}

/// Opens the network namespace of the pod. One of its interfaces must have an address of the pod;
/// the store knows which processes are those of another pod.
pub(crate) fn open(
    processes: &ProcessTable,
    pod: &Pod,
    store: &PodStore,
) -> Result<NetNs, PodNetnsError> {
    let has_user_namespace = pod.facts.as_ref().is_ok_and(|facts| facts.user_namespace);
    let owner = if has_user_namespace {
        NetnsOwner::NodeOrPod
    } else {
        NetnsOwner::Node
    };
    let static_uid = store.static_uid(pod);
    let is_of_pod = |process: &_| is_in(pod, process, static_uid.as_deref());
    let (netns, _process) = processes.open_netns(is_of_pod, owner)?;
    let wanted = pod.addresses();
    if wanted.is_empty() {
        return Err(PodNetnsError::NoAddress);
    }
    let found = netns
        .run(interface_addresses)?
        .map_err(PodNetnsError::Addresses)?;
    if !wanted.iter().any(|address| found.contains(address)) {
        return Err(PodNetnsError::OtherNetwork(wanted.to_vec()));
    }
    Ok(netns)
}

/// Whether one of these processes runs in the pod.
pub(crate) fn is_visible(processes: &ProcessTable, pod: &Pod, store: &PodStore) -> bool {
    let static_uid = store.static_uid(pod);
    let mut processes = processes.iter();
    processes.any(|process| is_in(pod, process, static_uid.as_deref()))
}

fn join(addresses: &[IpAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

/// Whether that process runs in the pod, whose second UID is `static_uid`. Only a process whose
/// control group names no pod is recognized by the ID of its container.
fn is_in(pod: &Pod, process: &ContainerProcess, static_uid: Option<&str>) -> bool {
    if let Some(uid) = &process.pod_uid {
        return *uid == pod.uid || Some(uid.as_str()) == static_uid;
    }
    let container_id = process.container_id.as_deref();
    pod.all_containers()
        .filter_map(|container| container.id.as_deref()?.split_once("://"))
        .any(|(_runtime, id)| container_id == Some(id))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mesh_cni_netns::ProcessTable;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_process_is_in_the_pod_by_pod_uid_or_container_id() {
        let id = "0a1b2c3d4e5f6071".repeat(4);
        let pod = |container: &str, uid: &str| {
            Pod::from_object(&json!({
                "metadata": {"namespace": "a", "name": "b", "uid": uid},
                "spec": {"containers": [{"name": "x", "image": "none"}]},
                "status": {"containerStatuses": [{"name": "x", "containerID": container}]},
            }))
            .unwrap()
        };
        let proc = tempfile::tempdir().unwrap();
        for (pid, group) in [
            ("3", format!("system.slice/docker-{id}.scope")),
            (
                "4",
                "kubepods/pod5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11/0a".to_owned(),
            ),
            (
                "5",
                "kubepods/pod6c1a9d527a554f0e9b0a2f1f4d3c8e11/0a".to_owned(),
            ),
            (
                "6",
                format!("kubepods/pod0000000e-0a3e-4a52-9d43-2f1a0c7b9e11/{id}"),
            ),
        ] {
            let directory = proc.path().join(pid);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("cgroup"), format!("0::/{group}")).unwrap();
            fs::write(
                directory.join("stat"),
                format!("{pid} (x) S{}", " 1".repeat(20)),
            )
            .unwrap();
        }
        let processes = ProcessTable::read(proc.path()).unwrap();
        let of = |pod: &Pod, static_uid: Option<&str>| -> Vec<u32> {
            processes
                .iter()
                .filter(|process| is_in(pod, process, static_uid))
                .map(|process| process.pid)
                .collect()
        };
        let uid = "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11";
        let static_uid = Some("6c1a9d527a554f0e9b0a2f1f4d3c8e11");
        let runtime_id = format!("containerd://{id}");
        // The control group of process 6 names another pod.
        assert_eq!(of(&pod(&runtime_id, "c"), None), [3]);
        assert_eq!(of(&pod(&runtime_id, uid), static_uid), [3, 4, 5]);
        assert_eq!(of(&pod("", uid), None), [4]);
        assert_eq!(of(&pod("", "c"), static_uid), [5]);
        for container in ["containerd://", "containerd://0a1b2c3d4e5f6071", &id] {
            assert!(of(&pod(container, "c"), None).is_empty(), "{container}");
        }
    }
}
