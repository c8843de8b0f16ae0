//! Whether the rules exempt the user and group that the proxy runs as.
//!
//! Like Istio's, they use the `securityContext` of the container. The `securityContext` of the pod
//! also applies to the application, whose traffic must not be exempt.

use mesh_cni_rules::interception::OutboundRanges;
use mesh_cni_rules::{Interception, Warning, WarningCode};
use mesh_cni_selector::PodFacts;
use thiserror::Error;

/// The proxy runs as the pod's user and group, which the rules redirect: its own traffic would
/// return to it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "container istio-proxy sets no securityContext.runAsUser and runs as the pod's user {user} and \
     group {group}, which the rules redirect: its own traffic would return to it; set runAsUser and \
     runAsGroup of istio-proxy, usually to 1337"
)]
pub struct ProxyRedirected {
    /// The pod's `securityContext.runAsUser`.
    pub user: i64,
    /// The container's `securityContext.runAsGroup`, or else the pod's.
    pub group: i64,
}

/// Refuses a pod whose proxy's traffic is certain to return to it; returns a warning if it may.
pub(crate) fn check(
    facts: &PodFacts,
    interception: &Interception,
) -> Result<Option<Warning>, ProxyRedirected> {
    let Some(proxy) = facts.proxy().map(|proxy| proxy.container) else {
        return Ok(None);
    };
    // The rules already exempt a user that the container sets.
    let (None, Some(user)) = (proxy.run_as_user, facts.run_as_user) else {
        return Ok(None);
    };
    let group = proxy.run_as_group.or(facts.run_as_group);
    if is_exempt(interception, user, group) {
        return Ok(None);
    }
    match group {
        // Root can change its user, and the proxy may not connect to every captured range.
        Some(group) if user != 0 && interception.outbound_ranges == OutboundRanges::All => {
            Err(ProxyRedirected { user, group })
        }
        _ => Ok(Some(Warning::new(
            WarningCode::ProxyRedirectedToItself,
            format!(
                "container istio-proxy sets no securityContext.runAsUser, and the rules redirect \
                 the pod's user {user}: if the proxy runs as that user, its own traffic may return \
                 to it; set runAsUser and runAsGroup of istio-proxy"
            ),
        ))),
    }
}

/// Whether the rules exempt the user or the group; one of them is enough.
fn is_exempt(interception: &Interception, user: i64, group: Option<i64>) -> bool {
    let is = |id: u32, other: i64| i64::from(id) == other;
    interception.proxy_uids.iter().any(|uid| is(uid.0, user))
        || group.is_some_and(|group| interception.proxy_gids.iter().any(|gid| is(gid.0, group)))
}
