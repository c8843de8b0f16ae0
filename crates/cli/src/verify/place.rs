//! Finds a network namespace by its path, a process, a container or a pod.

use std::collections::BTreeSet;
use std::path::Path;

use mesh_cni_installer::{Attachment, read_attachments};
use mesh_cni_netns::{ContainerProcess, NetNs, NetnsOwner, ProcessError, ProcessTable};
use mesh_cni_selector::PodFacts;

use crate::failure::Failure;
use crate::live;

/// A namespace, with a process and the pod in it if they are known.
pub(super) struct Found {
    pub(super) netns: NetNs,
    /// A process in it.
    pub(super) pid: Option<u32>,
    /// The UID of the pod that runs there.
    pub(super) uid: Option<String>,
}

/// The namespace at that path. The node's processes are in `proc`.
pub(super) fn at(path: &Path, proc: &Path) -> Result<Found, Failure> {
    let netns = live::open(path)?;
    let processes = processes(proc)?;
    let process = processes.pod_process_in(&netns);
    Ok(Found {
        pid: process.map(|process| process.pid),
        uid: process.and_then(|process| process.pod_uid.clone()),
        netns,
    })
}

/// The namespace of that process in `proc`.
pub(super) fn of_process(pid: u32, proc: &Path) -> Result<Found, Failure> {
    Ok(Found {
        netns: live::open(&proc.join(pid.to_string()).join("ns/net"))?,
        pid: Some(pid),
        uid: ContainerProcess::read(proc, pid).and_then(|process| process.pod_uid),
    })
}

/// The processes and sandboxes of this machine.
pub(super) struct Machine {
    processes: ProcessTable,
    /// The newest first.
    sandboxes: Vec<Attachment>,
}

impl Machine {
    /// Reads the node's `/proc` and the runtime's CNI cache.
    pub(super) fn read(proc: &Path, cache: &Path) -> Result<Self, Failure> {
        Ok(Self {
            processes: processes(proc)?,
            sandboxes: read_attachments(cache).map_err(Failure::environment)?,
        })
    }

    /// The UIDs of the pods that have a process or a sandbox.
    pub(super) fn pod_uids(&self) -> BTreeSet<&str> {
        let of_processes = self.processes.iter().map(|process| &process.pod_uid);
        let of_sandboxes = self.sandboxes.iter().map(|sandbox| &sandbox.pod_uid);
        of_processes
            .chain(of_sandboxes)
            .filter_map(Option::as_deref)
            .collect()
    }

    /// Whether a process of the pod runs.
    pub(super) fn has_process(&self, uid: &str) -> bool {
        let mut processes = self.processes.iter();
        processes.any(|process| process.pod_uid.as_deref() == Some(uid))
    }

    /// The matching sandboxes.
    fn sandboxes(&self, is_of: impl Fn(&Attachment) -> bool) -> Vec<&Attachment> {
        let matching = self.sandboxes.iter().filter(|sandbox| is_of(sandbox));
        matching.collect()
    }
}

/// The namespace of the container or sandbox whose ID starts with that text.
pub(super) fn of_container(text: &str, machine: &Machine) -> Result<Found, Failure> {
    let id = text.split_once("://").map_or(text, |(_runtime, id)| id);
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Err(
            Failure::wrong(format!("--container: `{text}` is not a valid container ID")).hint(
                "use `containerd://ID`, `docker://ID`, `cri-o://ID`, or the first digits of an ID",
            ),
        );
    }
    let id = id.to_ascii_lowercase();
    let processes = &machine.processes;
    let container = |process: &ContainerProcess| {
        let found = process.container_id.clone();
        found.filter(|found| found.starts_with(&id))
    };
    let is_sandbox = |attachment: &Attachment| attachment.sandbox.starts_with(&id);
    let sandboxes = machine.sandboxes(is_sandbox);
    let mut ids: BTreeSet<_> = processes.iter().filter_map(container).collect();
    ids.extend(sandboxes.iter().map(|sandbox| sandbox.sandbox.clone()));
    if ids.len() > 1 {
        let ids = Vec::from_iter(ids).join(", ");
        let error = format!("--container: `{id}` matches several containers: {ids}");
        return Err(Failure::wrong(error).hint("give more digits of the ID"));
    }
    let is_of = |process: &ContainerProcess| container(process).is_some();
    // Whether its pod has users of its own is not known.
    first(
        &format!("container {id}"),
        processes,
        is_of,
        NetnsOwner::NodeOrPod,
        &sandboxes,
    )
}

/// The namespace of that pod.
pub(super) fn of_pod(pod: &str, facts: &PodFacts, machine: &Machine) -> Result<Found, Failure> {
    if facts.uid.is_none() {
        return Err(
            Failure::wrong(format!("pod {pod}: `metadata.uid` is missing")).hint(
                "give --manifest the output of `kubectl get pod NAME -o yaml` for the running pod",
            ),
        );
    }
    if facts.host_network {
        return Err(on_the_host(&format!("pod {pod}")));
    }
    let owner = if facts.user_namespace {
        NetnsOwner::NodeOrPod
    } else {
        NetnsOwner::Node
    };
    let processes = &machine.processes;
    // The pod's own UID comes before that of a static pod, which a pod that is none can claim.
    let has = |process: &ContainerProcess, uid: &Option<String>| {
        process.pod_uid.is_some() && process.pod_uid == *uid
    };
    let is_own = processes.iter().any(|process| has(process, &facts.uid));
    let uid = if is_own {
        &facts.uid
    } else {
        &facts.static_pod_uid
    };
    let is_of = |process: &ContainerProcess| has(process, uid);
    let is_sandbox = |attachment: &Attachment| {
        attachment.pod_uid.is_some()
            && [&facts.uid, &facts.static_pod_uid].contains(&&attachment.pod_uid)
    };
    let sandboxes = machine.sandboxes(is_sandbox);
    first(&format!("pod {pod}"), processes, is_of, owner, &sandboxes)
}

fn first(
    whose: &str,
    processes: &ProcessTable,
    is_of: impl Fn(&ContainerProcess) -> bool,
    owner: NetnsOwner,
    sandboxes: &[&Attachment],
) -> Result<Found, Failure> {
    let opened = processes.open_netns(is_of, owner);
    if let (Err(ProcessError::NotFound), Some(pinned)) = (&opened, pinned(sandboxes)) {
        return Ok(pinned);
    }
    let (netns, process) = opened.map_err(|error| match error {
        ProcessError::HostNetwork => on_the_host(whose),
        ProcessError::Open(error) => live::unopened(error),
        ProcessError::CreatedByPod | ProcessError::Ambiguous => Failure::wrong(error)
            .about(whose.to_owned())
            .hint("give the path of its network namespace with --netns"),
        ProcessError::Owner(_) => Failure::environment(error).about(whose.to_owned()),
        _ => Failure::wrong(format!("no process of {whose} runs on this machine")).hint(
            "run it on the pod's node, which `kubectl get pod NAME -o wide` shows; for a sandbox \
             without a running container, give the path of its network namespace, which `crictl \
             inspectp ID` shows, with --netns; in the agent's container the node's processes are \
             visible only with `repair.repairPods`",
        ),
    })?;
    Ok(Found {
        netns,
        pid: Some(process.pid),
        uid: process.pod_uid.clone(),
    })
}

/// The namespace of the newest sandbox that has one. The runtime keeps it also while no process runs.
fn pinned(sandboxes: &[&Attachment]) -> Option<Found> {
    sandboxes.iter().find_map(|sandbox| {
        let netns = NetNs::open(sandbox.netns.as_deref()?).ok()?;
        let uid = sandbox.pod_uid.clone();
        Some(Found {
            netns,
            pid: None,
            uid,
        })
    })
}

fn on_the_host(whose: &str) -> Failure {
    Failure::wrong(format!("{whose} has no network namespace of its own"))
        .hint("pods in the node's network namespace (`hostNetwork: true`) are never redirected")
}

fn processes(proc: &Path) -> Result<ProcessTable, Failure> {
    ProcessTable::read(proc).map_err(|error| {
        Failure::environment(error).about(format!("cannot read `{}`", proc.display()))
    })
}
