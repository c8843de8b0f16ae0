//! Whether the rules exempt the user and group that the proxy runs as, and no other container.
//!
//! Like those of the meshes, they use the `securityContext` of the container. The `securityContext` of the pod
//! also applies to the application, whose traffic must not be exempt.

use mesh_cni_netfilter::value::excerpt;
use mesh_cni_netfilter::{Gid, Uid};
use mesh_cni_rules::{Warning, WarningCode};
use mesh_cni_selector::{ContainerFacts, Mesh, PodFacts};
use thiserror::Error;

/// The proxy runs as the pod's user and group, which the rules redirect: its own traffic would
/// return to it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "container {proxy} sets no securityContext.runAsUser and runs as the pod's user {user} and \
     group {group}, which the rules redirect: its own traffic would return to it; set runAsUser and \
     runAsGroup of {proxy}, usually to {usual}"
)]
pub struct ProxyRedirected {
    /// The name of the proxy's container.
    pub proxy: &'static str,
    /// The user as which the mesh usually runs it.
    pub usual: u32,
    /// The pod's `securityContext.runAsUser`.
    pub user: i64,
    /// The container's `securityContext.runAsGroup`, or else the pod's.
    pub group: i64,
}

/// Whose traffic the rules do not redirect.
pub(crate) struct Exempt<'pod> {
    pub(crate) mesh: Mesh,
    /// The user as which the mesh usually runs its proxy.
    pub(crate) usual: u32,
    pub(crate) uids: &'pod [Uid],
    pub(crate) gids: &'pod [Gid],
    /// Whether every outbound connection of others is captured, but for excluded ones.
    pub(crate) captures_all: bool,
}

/// The most containers that a warning names.
const MAX_NAMED: usize = 8;

/// Refuses a pod whose proxy's traffic is certain to return to it. Returns warnings if it may, and
/// if traffic of other containers bypasses the proxy.
pub(crate) fn check(
    facts: &PodFacts,
    exempt: &Exempt<'_>,
) -> Result<Vec<Warning>, ProxyRedirected> {
    let mut warnings = Vec::from_iter(check_proxy(facts, exempt)?);
    warnings.extend(bypassing(facts, exempt));
    Ok(warnings)
}

fn check_proxy(facts: &PodFacts, exempt: &Exempt<'_>) -> Result<Option<Warning>, ProxyRedirected> {
    let (Some(proxy), Some(marks)) = (facts.proxy(exempt.mesh), exempt.mesh.marks()) else {
        return Ok(None);
    };
    let proxy = proxy.container;
    let Some(user) = user(proxy, facts) else {
        return Ok(None);
    };
    let (name, group) = (marks.proxy, group(proxy, facts));
    if is_exempt(exempt, user, group) {
        return Ok(None);
    }
    let message = match (proxy.run_as_user, group) {
        // Root can change its user, and the proxy may not connect to every captured range.
        (None, Some(group)) if user != 0 && exempt.captures_all => {
            return Err(ProxyRedirected {
                proxy: name,
                usual: exempt.usual,
                user,
                group,
            });
        }
        (None, _) => format!(
            "container {name} sets no securityContext.runAsUser, and the rules redirect the \
             pod's user {user}: if the proxy runs as that user, its own traffic may return to it; \
             set runAsUser and runAsGroup of {name}"
        ),
        // The rules exempt every other user that the container sets.
        (Some(_), group) => {
            let group = group.map_or_else(|| "no group".to_owned(), |id| format!("group {id}"));
            format!(
                "container {name} runs as root with {group}, and the rules never exempt root: \
                 its own traffic may return to it; set runAsGroup of {name} to {}",
                exempt.usual
            )
        }
    };
    Ok(Some(Warning::new(
        WarningCode::ProxyRedirectedToItself,
        message,
    )))
}

/// A warning if containers run as a user of the proxy, and one if others run as its group.
fn bypassing<'pod>(
    facts: &'pod PodFacts,
    exempt: &'pod Exempt<'pod>,
) -> impl Iterator<Item = Warning> {
    let is_user = |id: i64| exempt.uids.iter().any(|uid| i64::from(uid.0) == id);
    let is_group = |id: i64| exempt.gids.iter().any(|gid| i64::from(gid.0) == id);
    let names = exempt.mesh.marks();
    let of_the_mesh = names.map(|marks| [marks.proxy, marks.init, marks.validation]);
    let (mut by_user, mut by_group) = (Vec::new(), Vec::new());
    for container in facts.containers.iter().chain(&facts.init_containers) {
        let name = container.name.as_str();
        if of_the_mesh.is_some_and(|names| names.contains(&name)) {
            continue;
        }
        if user(container, facts).is_some_and(is_user) {
            by_user.push(name);
        } else if group(container, facts).is_some_and(is_group) {
            by_group.push(name);
        }
    }
    [
        ("user", "runAsUser", by_user),
        ("group", "runAsGroup", by_group),
    ]
    .into_iter()
    .filter(|(.., names)| !names.is_empty())
    .map(|(kind, field, names)| {
        let message = format!(
            "{} with the proxy's {kind}, whose traffic is not redirected, bypass the proxy: set \
                 another {field}",
            listed(&names)
        );
        Warning::new(WarningCode::BypassesProxy, message)
    })
}

fn listed(names: &[&str]) -> String {
    let first = names.iter().take(MAX_NAMED);
    let quoted: Vec<_> = first
        .map(|name| format!("`{}`", excerpt(name, 1)))
        .collect();
    let more = match names.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("containers {}{more}", quoted.join(", "))
}

/// The user that the pod gives a container; `None` if its image decides.
pub(crate) fn user(container: &ContainerFacts, facts: &PodFacts) -> Option<i64> {
    container.run_as_user.or(facts.run_as_user)
}

/// The group that the pod gives a container; `None` if its image decides.
fn group(container: &ContainerFacts, facts: &PodFacts) -> Option<i64> {
    container.run_as_group.or(facts.run_as_group)
}

/// Whether the rules exempt the user or the group; one of them is enough.
fn is_exempt(exempt: &Exempt<'_>, user: i64, group: Option<i64>) -> bool {
    let is = |id: u32, other: i64| i64::from(id) == other;
    exempt.uids.iter().any(|uid| is(uid.0, user))
        || group.is_some_and(|group| exempt.gids.iter().any(|gid| is(gid.0, group)))
}
