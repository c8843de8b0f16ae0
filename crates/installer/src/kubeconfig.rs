//! The kubeconfig of pod source `api`, the only credential that is written to a node.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The API server's address inside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServer {
    /// `KUBERNETES_SERVICE_HOST`: a name or an address of either family.
    pub host: String,
    /// `KUBERNETES_SERVICE_PORT`.
    pub port: u16,
}

/// The agent's service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// CA certificates of the API server, PEM.
    pub ca: String,
    /// The mounted bearer token; the kubelet renews it about once an hour.
    pub token: Secret,
}

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Write it only to files that nobody else can read.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ApiServer {
    /// `https://HOST:PORT`, with brackets around an IPv6 address.
    pub fn url(&self) -> String {
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => format!("https://[{address}]:{}", self.port),
            _ => format!("https://{}:{}", self.host, self.port),
        }
    }

    /// The kubeconfig as JSON, which is valid YAML.
    pub fn kubeconfig(&self, account: &Account) -> Secret {
        let cluster = json!({
            "server": self.url(),
            "certificate-authority-data": STANDARD.encode(&account.ca),
        });
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": "mesh-cni", "user": {"token": account.token.expose().trim()}}],
            "contexts": [{
                "name": "mesh-cni",
                "context": {"cluster": "local", "user": "mesh-cni"},
            }],
            "current-context": "mesh-cni",
        });
        Secret(format!("{config:#}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_contain_names_and_addresses_of_both_families() {
        let url = |host: &str| {
            let host = host.to_owned();
            ApiServer { host, port: 443 }.url()
        };
        assert_eq!(url("10.96.0.1"), "https://10.96.0.1:443");
        assert_eq!(url("fd00::1"), "https://[fd00::1]:443");
        assert_eq!(url("api.example.org"), "https://api.example.org:443");
    }

    #[test]
    fn debug_does_not_show_secrets() {
        let account = Account {
            ca: "ca".to_owned(),
            token: Secret::new("hush"),
        };
        assert!(!format!("{account:?}").contains("hush"));
    }
}
