//! Opens the network namespace of a pod or container through its processes.

use std::io;

use thiserror::Error;

use crate::addresses::interface_addresses;
use crate::netns::{NetNs, OpenError};
use crate::process::{ContainerProcess, ProcessTable};
use crate::user_ns::Owner;

/// Which user namespace may own the network namespace of a pod.
///
/// The node's is that of the calling process. Any process may create a user namespace, and in it a
/// network namespace with any address; such a network namespace is never that of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetnsOwner {
    /// The node's: `spec.hostUsers` of the pod is true or not set.
    Node,
    /// Also one that was created in the node's: `spec.hostUsers` is false. The container runtime
    /// creates it, and no process of such a pod can create another.
    NodeOrPod,
}

/// Why the network namespace of a pod or container was not found.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// No process of it exists, or `/proc` is not that of its node.
    #[error("no process of the pod is visible")]
    NotFound,
    /// Its processes ended before their namespace was open.
    #[error("the pod's process ended during the lookup")]
    Ended,
    /// Its processes are in the network namespace of the node.
    #[error("the pod's process is in the node's network namespace")]
    HostNetwork,
    /// Its processes are in network namespaces that they created themselves.
    #[error("the pod's process is in a network namespace that the pod itself created")]
    CreatedByPod,
    /// Its processes are in several network namespaces, and each could be that of the pod.
    #[error("the pod's processes are in several network namespaces")]
    Ambiguous,
    /// The namespace cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The kernel did not return the user namespace that owns the network namespace.
    #[error("cannot determine the user namespace that owns the pod's network namespace")]
    Owner(#[source] io::Error),
}

/// A namespace that could be the pod's, and a process in it.
struct Candidate<'table> {
    netns: NetNs,
    process: &'table ContainerProcess,
    /// Another one exists that is as likely.
    is_ambiguous: bool,
}

impl ProcessTable {
    /// Opens the network namespace of the pod or container with the matching processes, and returns
    /// the first process in it too.
    ///
    /// - Namespaces of the node, which a privileged container can enter, and those with another
    ///   owner than `owner` do not count.
    /// - A namespace that the node's user namespace owns comes before one that the pod's owns.
    /// - Only processes with the fewest groups between them and the container's group count, since
    ///   nested groups are containers that a privileged container started.
    /// - A namespace without an address does not count beside one with an address: gVisor's `gofer`
    ///   runs in an empty one beside the sandbox.
    /// - If these processes are still in several namespaces, that is an error.
    ///
    /// Each process ran in the same pod and container when its namespace was open already, so a
    /// reused PID never leads to another pod's namespace.
    pub fn open_netns(
        &self,
        matches: impl Fn(&ContainerProcess) -> bool,
        owner: NetnsOwner,
    ) -> Result<(NetNs, &ContainerProcess), ProcessError> {
        // PID 1 is hidden where `proc` shows one container only, which has one namespace.
        let node = [NetNs::open(&self.netns_path(1)), NetNs::current()];
        let is_node = |netns: &NetNs| node.iter().flatten().any(|node| node.is_same(netns));
        let (mut of_node, mut of_pod, mut first_failure) = (None, None, None);
        for process in self.iter().filter(|process| matches(process)) {
            let opened = self.open_of(process, is_node);
            let failure = match opened {
                Ok((netns, Owner::Same)) => {
                    add(&mut of_node, netns, process);
                    continue;
                }
                Ok((netns, Owner::Child)) if owner == NetnsOwner::NodeOrPod => {
                    add(&mut of_pod, netns, process);
                    continue;
                }
                Ok(_) => ProcessError::CreatedByPod,
                Err(failure) => failure,
            };
            first_failure.get_or_insert(failure);
        }
        match of_node.or(of_pod) {
            Some(found) if found.is_ambiguous => Err(ProcessError::Ambiguous),
            Some(Candidate { netns, process, .. }) => Ok((netns, process)),
            None => Err(first_failure.unwrap_or(ProcessError::NotFound)),
        }
    }

    fn open_of(
        &self,
        process: &ContainerProcess,
        is_node: impl Fn(&NetNs) -> bool,
    ) -> Result<(NetNs, Owner), ProcessError> {
        let netns = NetNs::open(&self.netns_path(process.pid)).map_err(|error| match error {
            OpenError::Missing { .. } => ProcessError::Ended,
            error => error.into(),
        })?;
        if ContainerProcess::read(&self.proc, process.pid).as_ref() != Some(process) {
            return Err(ProcessError::Ended);
        }
        if is_node(&netns) {
            return Err(ProcessError::HostNetwork);
        }
        let owner = Owner::of(netns.file()).map_err(ProcessError::Owner)?;
        Ok((netns, owner))
    }
}

/// Adds a namespace. Processes come in the order of their depth, so a deeper one changes nothing.
fn add<'table>(
    candidate: &mut Option<Candidate<'table>>,
    netns: NetNs,
    process: &'table ContainerProcess,
) {
    if let Some(known) = candidate {
        if known.process.depth < process.depth || known.netns.is_same(&netns) {
            return;
        }
        let counts = [&known.netns, &netns].map(has_address);
        if counts != [false, true] {
            known.is_ambiguous |= counts[0] == counts[1];
            return;
        }
    }
    *candidate = Some(Candidate {
        netns,
        process,
        is_ambiguous: false,
    });
}

/// Whether an interface other than loopback has an address, as far as that can be determined.
fn has_address(netns: &NetNs) -> bool {
    let addresses = netns.run(interface_addresses);
    addresses.is_ok_and(|addresses| addresses.map_or(true, |addresses| !addresses.is_empty()))
}
