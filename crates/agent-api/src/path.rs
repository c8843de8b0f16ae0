//! The request paths of the agent.

/// `GET`: a page of the node's pods, as a [`PodList`](crate::PodList). Followed by
/// `/{namespace}/{name}` or `?uid=UID`: the facts about one pod, as a
/// [`PodAnswer`](crate::PodAnswer).
pub const PODS: &str = "/v1/pods";

/// `GET`: the state of the node, as an [`AgentStatus`](crate::AgentStatus).
pub const STATUS: &str = "/v1/status";

/// `POST`: the result of an ADD, as a [`Report`](crate::Report).
pub const REPORTS: &str = "/v1/reports";

/// `GET`: status 200 while the agent's process is alive.
pub const HEALTHZ: &str = "/healthz";

/// `GET`: status 200 if every check passes, otherwise 503. Followed by `/{check}` for one check.
pub const READYZ: &str = "/readyz";

/// `GET`: status 200 if the agent knows the pods of its node, so that it can answer for them.
pub const READYZ_WATCH: &str = "/readyz/watch";

/// `GET`: metrics in the `OpenMetrics` text format.
pub const METRICS: &str = "/metrics";

/// The path of one pod: `/v1/pods/{namespace}/{name}?uid={uid}`.
///
/// Namespace and name must be valid Kubernetes names. A UID with characters that would need escaping
/// is left out; Kubernetes creates none.
pub fn pod(namespace: &str, name: &str, uid: Option<&str>) -> String {
    match uid.filter(|uid| is_plain(uid)) {
        Some(uid) => format!("{PODS}/{namespace}/{name}?uid={uid}"),
        None => format!("{PODS}/{namespace}/{name}"),
    }
}

/// The path of the pod with that UID: `/v1/pods?uid={uid}`.
pub fn pod_by_uid(uid: &str) -> String {
    format!("{PODS}?uid={uid}")
}

/// The path of a page of the node's pods: those after `after`, a
/// [`PodList::next`](crate::PodList::next), or the first ones.
pub fn pods(after: Option<&str>) -> String {
    match after {
        Some(after) => format!("{PODS}?after={after}"),
        None => PODS.to_owned(),
    }
}

fn is_plain(uid: &str) -> bool {
    uid.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
