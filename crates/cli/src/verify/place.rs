//! Which namespace is meant, by a path, a process, a container or a pod.

use std::collections::BTreeSet;
use std::path::Path;

use mesh_cni_netns::NetNs;
use mesh_cni_selector::PodFacts;

use super::processes::{self, Member, namespace};
use crate::failure::Failure;
use crate::live;

/// A namespace, and what is known of who lives there.
pub(super) struct Found {
    pub(super) netns: NetNs,
    /// A process in it.
    pub(super) pid: Option<u32>,
    /// The UID of the pod that runs there.
    pub(super) uid: Option<String>,
}

/// The namespace at that path.
pub(super) fn at(path: &Path) -> Result<Found, Failure> {
    let netns = live::open(path)?;
    let mut inhabitants = members()?.into_iter();
    let inhabitant =
        inhabitants.find(|member| member.group.pod.is_some() && lives_in(member.pid, &netns));
    Ok(Found {
        netns,
        pid: inhabitant.as_ref().map(|member| member.pid),
        uid: inhabitant.and_then(|member| member.group.pod),
    })
}

/// That process's.
pub(super) fn of_process(pid: u32) -> Result<Found, Failure> {
    Ok(Found {
        netns: live::open(&namespace(pid))?,
        pid: Some(pid),
        uid: processes::group(pid).pod,
    })
}

/// The container's whose id begins so.
pub(super) fn of_container(text: &str) -> Result<Found, Failure> {
    let id = text.split_once("://").map_or(text, |(_runtime, id)| id);
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Err(Failure::wrong(format!("--container: `{text}` is no id of a container"))
            .hint("it is `containerd://ID`, `docker://ID`, `cri-o://ID`, or the first digits of an id"));
    }
    let id = id.to_ascii_lowercase();
    let mut members = members()?;
    members.retain(|member| container(member).is_some_and(|own| own.starts_with(&id)));
    let ids: BTreeSet<_> = members.iter().filter_map(container).collect();
    if ids.len() > 1 {
        let ids: Vec<_> = ids.into_iter().collect();
        let ids = ids.join(", ");
        let error = format!("--container: `{id}` is the beginning of several ids: {ids}");
        return Err(Failure::wrong(error).hint("give more of its digits"));
    }
    first(&format!("container {id}"), &members)
}

/// The pod's.
pub(super) fn of_pod(pod: &str, facts: &PodFacts) -> Result<Found, Failure> {
    if facts.uid.is_none() {
        return Err(
            Failure::wrong(format!("pod {pod}: its `metadata.uid` is not known")).hint(
                "--manifest must be what `kubectl get pod NAME -o yaml` prints of the running pod",
            ),
        );
    }
    if facts.host_network {
        return Err(on_the_host(&format!("pod {pod}")));
    }
    let mut members = members()?;
    members.retain(|member| {
        let uid = member.group.pod.as_ref();
        uid.is_some_and(|uid| facts.is_of(uid))
    });
    first(&format!("pod {pod}"), &members)
}

fn container(member: &Member) -> Option<&str> {
    member.group.container.as_deref()
}

/// The first process that does not live on the host.
fn first(whose: &str, members: &[Member]) -> Result<Found, Failure> {
    if members.is_empty() {
        return Err(
            Failure::wrong(format!("no process of {whose} runs on this machine"))
                .hint("ask on the pod's node; `kubectl get pod NAME -o wide` says which it is"),
        );
    }
    let hosts = host_namespaces()?;
    for member in members {
        // A process that ends meanwhile is none.
        if let Ok(netns) = NetNs::open(&namespace(member.pid))
            && !hosts.iter().any(|host| netns.is_same(host))
        {
            return Ok(Found {
                netns,
                pid: Some(member.pid),
                uid: member.group.pod.clone(),
            });
        }
    }
    Err(on_the_host(whose))
}

/// That of this process, and that of the first, which may be closed to us in a container.
fn host_namespaces() -> Result<Vec<NetNs>, Failure> {
    let own = live::open(&namespace(std::process::id()))?;
    Ok(NetNs::open(&namespace(1))
        .into_iter()
        .chain([own])
        .collect())
}

fn on_the_host(whose: &str) -> Failure {
    Failure::wrong(format!("{whose} has no network namespace of its own"))
        .hint("what shares the node's namespace (`hostNetwork: true`) is never redirected")
}

fn members() -> Result<Vec<Member>, Failure> {
    processes::all().map_err(|error| Failure::environment(error).about("cannot read /proc"))
}

fn lives_in(pid: u32, netns: &NetNs) -> bool {
    NetNs::open(&namespace(pid)).is_ok_and(|own| own.is_same(netns))
}
