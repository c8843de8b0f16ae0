//! The DNS servers of a pod, as far as its spec determines them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most servers in a `/etc/resolv.conf` that the kubelet writes.
const MAX_SERVERS: usize = 3;

/// What `spec.dnsPolicy` and `spec.dnsConfig.nameservers` say about the servers in the `/etc/resolv.conf` of
/// a pod's containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameServers {
    /// They are not known, or those of the node (policy `Default`).
    #[default]
    Unknown,
    /// Those of the cluster, then these.
    Cluster(Vec<IpAddr>),
    /// Only these (policy `None`).
    Only(Vec<IpAddr>),
}

impl NameServers {
    /// The servers in the kubelet's order, with these of the cluster. Empty if they are not known.
    pub fn with_cluster(&self, cluster: &[IpAddr]) -> Vec<IpAddr> {
        let (first, then) = match self {
            Self::Cluster(own) if !cluster.is_empty() => (cluster, own.as_slice()),
            Self::Only(own) => (own.as_slice(), &[][..]),
            Self::Unknown | Self::Cluster(_) => return Vec::new(),
        };
        let mut servers = Vec::new();
        for server in first.iter().chain(then) {
            if !servers.contains(server) {
                servers.push(*server);
            }
        }
        servers.truncate(MAX_SERVERS);
        servers
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }

    /// How many addresses the value has in memory.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Unknown => 0,
            Self::Cluster(own) | Self::Only(own) => own.len(),
        }
    }

    /// Reads them from `spec` of a Pod. Invalid ones do not affect the selection, so they must not make a Pod
    /// unreadable.
    pub(crate) fn of_spec(spec: &Value) -> Self {
        let own: Option<Vec<IpAddr>> = match &spec["dnsConfig"]["nameservers"] {
            Value::Null => Some(Vec::new()),
            Value::Array(servers) if servers.len() <= MAX_SERVERS => servers
                .iter()
                .map(|server| server.as_str()?.parse().ok())
                .collect(),
            _ => None,
        };
        let policy = match &spec["dnsPolicy"] {
            Value::Null => Some("ClusterFirst"),
            policy => policy.as_str(),
        };
        match (policy, own) {
            (Some("ClusterFirst" | "ClusterFirstWithHostNet"), Some(own)) => Self::Cluster(own),
            (Some("None"), Some(own)) => Self::Only(own),
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn servers(spec: &Value, cluster: &[&str]) -> Vec<String> {
        let cluster: Vec<_> = cluster.iter().flat_map(|server| server.parse()).collect();
        let servers = NameServers::of_spec(spec).with_cluster(&cluster);
        servers.iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn servers_are_those_that_the_kubelet_writes() {
        let own = json!({"nameservers": ["10.0.0.53", "10.96.0.10", "fd00::53", "10.0.0.54"]});
        let two = json!({"nameservers": ["10.0.0.53", "10.96.0.10"]});
        let cluster = ["10.96.0.10", "fd00::a"];
        for (spec, expected) in [
            (json!({}), &cluster[..]),
            (json!({"dnsPolicy": "ClusterFirst"}), &cluster),
            (
                json!({"dnsPolicy": "ClusterFirst", "dnsConfig": two}),
                &["10.96.0.10", "fd00::a", "10.0.0.53"],
            ),
            (
                json!({"dnsPolicy": "None", "dnsConfig": two}),
                &["10.0.0.53", "10.96.0.10"],
            ),
            (json!({"dnsPolicy": "Default", "dnsConfig": two}), &[]),
            (json!({"dnsPolicy": 1}), &[]),
            (json!({"dnsConfig": own}), &[]),
            (json!({"dnsConfig": {"nameservers": ["10.0.0"]}}), &[]),
            (json!({"dnsConfig": {"nameservers": "10.0.0.53"}}), &[]),
        ] {
            assert_eq!(servers(&spec, &cluster), expected, "{spec}");
        }
    }

    #[test]
    fn without_those_of_the_cluster_only_a_pods_own_are_known() {
        let two = json!({"nameservers": ["10.0.0.53", "10.0.0.54"]});
        assert!(servers(&json!({"dnsConfig": two}), &[]).is_empty());
        let none = json!({"dnsPolicy": "None", "dnsConfig": two});
        assert_eq!(servers(&none, &[]), ["10.0.0.53", "10.0.0.54"]);
    }
}
