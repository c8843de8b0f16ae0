//! Opens the network namespace of a pod, for repair and for the page.

use std::io;
use std::net::IpAddr;

use mesh_cni_netns::{
    EnterError, NetNs, NetnsOwner, ProcessError, ProcessTable, interface_addresses,
};
use thiserror::Error;

use crate::kube::pod::Pod;
use crate::kube::store::PodStore;

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
    let is_of_pod = |process: &_| pod.has(process, static_uid.as_deref());
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

fn join(addresses: &[IpAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}
