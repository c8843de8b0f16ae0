//! Passes the namespace of an ambient pod to the agent, after its rules are applied.

use std::net::IpAddr;
use std::os::fd::AsFd as _;

use mesh_cni_agent_api::{AMBIENT_SOCKET_FILE, Enrolment};
use mesh_cni_netns::{Backend, BackendChoice, NetNs, remove};
use mesh_cni_rules::{Mesh, is_usable};
use mesh_cni_spec::CniError;

use crate::MeshCni;
use crate::error;
use crate::invocation::Invocation;

/// Returns when ztunnel serves the pod. If it does not, the rules are removed again, because a pod with
/// rules and without ztunnel has no network.
pub(crate) fn enrol(
    plugin: &MeshCni,
    invocation: &Invocation<'_>,
    netns: &NetNs,
    addresses: Vec<IpAddr>,
    backend: Backend,
) -> Result<(), CniError> {
    let Err(error) = send(invocation, netns, addresses) else {
        return Ok(());
    };
    let choice = BackendChoice::Only(backend);
    if let Err(error) = remove(netns, &plugin.xtables, choice, Mesh::Ambient) {
        let error = error::not_applied(&error);
        invocation
            .log
            .warn(&format!("the rules of the pod remain: {}", error.msg()));
    }
    Err(error)
}

fn send(
    invocation: &Invocation<'_>,
    netns: &NetNs,
    mut addresses: Vec<IpAddr>,
) -> Result<(), CniError> {
    let pod = invocation.pod.as_ref().ok_or_else(error::no_pod)?;
    addresses.retain(|address| is_usable(*address));
    let enrolment = Enrolment::new(&pod.namespace, &pod.name, pod.uid.as_deref(), addresses);
    let socket = invocation.conf.cni_agent_run_dir.join(AMBIENT_SOCKET_FILE);
    let sent = enrolment.send(&socket, netns.as_fd());
    sent.map_err(|e| error::not_enrolled(&e))
}
