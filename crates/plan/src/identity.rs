//! Whether the rules know the proxy by the user and group as which it runs.
//!
//! They go by the container's own `securityContext`, as Istio's do: the pod's is the application's
//! too, and rules that let those pass would let all traffic past the proxy.

use mesh_cni_rules::Interception;
use mesh_cni_rules::interception::OutboundRanges;
use mesh_cni_selector::PodFacts;
use thiserror::Error;

/// The proxy runs as the pod's user and group, which are not those that the rules let pass: whatever
/// it sends out would come back to it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "container istio-proxy has no securityContext.runAsUser and would run as user {user}, \
     the pod's, and group {group}: what the proxy sends out would be redirected to itself; set runAsUser and runAsGroup of istio-proxy, to 1337 as a rule"
)]
pub struct ProxyRedirected {
    /// The pod's `securityContext.runAsUser`.
    pub user: i64,
    /// The container's `securityContext.runAsGroup`, or else the pod's.
    pub group: i64,
}

/// Refuses a pod whose proxy is certain to be redirected to itself, and warns of one that may be.
///
/// Where the container names its user the rules know it, and any one of user and group is enough.
pub(crate) fn check(
    facts: &PodFacts,
    interception: &Interception,
) -> Result<Option<String>, ProxyRedirected> {
    let Some(proxy) = facts.proxy().map(|proxy| proxy.container) else {
        return Ok(None);
    };
    let (None, Some(user)) = (proxy.run_as_user, facts.run_as_user) else {
        return Ok(None);
    };
    let group = proxy.run_as_group.or(facts.run_as_group);
    if lets_pass(interception, user, group) {
        return Ok(None);
    }
    match group {
        // Root may become another user, and of some ranges the proxy may be no client.
        Some(group) if user != 0 && interception.outbound_ranges == OutboundRanges::All => {
            Err(ProxyRedirected { user, group })
        }
        _ => Ok(Some(format!(
            "container istio-proxy has no securityContext.runAsUser, and the pod's, {user}, is not \
             what the rules let pass: unless the proxy takes another, what it sends out may be \
             redirected to itself; set runAsUser and runAsGroup of istio-proxy"
        ))),
    }
}

fn lets_pass(interception: &Interception, user: i64, group: Option<i64>) -> bool {
    let mut users = interception.proxy_uids.iter();
    let mut groups = interception.proxy_gids.iter();
    users.any(|known| i64::from(known.0) == user)
        || groups.any(|known| Some(i64::from(known.0)) == group)
}
