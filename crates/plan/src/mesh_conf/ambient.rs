//! The field `ambient`: settings of Istio's ambient mode, with the names of Istio CNI.

use std::net::{Ipv4Addr, Ipv6Addr};

use mesh_cni_rules::ambient::{EarlierConnections, PROBE_SOURCE_V4, PROBE_SOURCE_V6, Settings};
use mesh_cni_selector::{AmbientPolicy, EnablementSelector};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Settings of ambient mode. They have an effect if it is among the profiles.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct AmbientConf {
    /// Which pods are in ambient mode: those that one of these selects. Each has Kubernetes label selectors in
    /// `podSelector` and `namespaceSelector`; one that is missing or empty matches everything. The default
    /// is that of Istio's chart.
    #[serde(deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<SelectorPair>"))]
    pub enablement_selectors: Vec<EnablementSelector>,
    /// The namespace of ztunnel, whose own pods are skipped.
    pub system_namespace: String,
    /// Whether DNS queries go to ztunnel. The annotation `ambient.istio.io/dns-capture` overrides it.
    pub dns_capture: bool,
    /// Whether a pod with an IPv6 address gets IPv6 rules too.
    pub ipv6: bool,
    /// The source address of the node's probes, to which its host rules rewrite them.
    pub host_probe_snat_ip: Ipv4Addr,
    /// The same for IPv6.
    pub host_probe_snat_ipv6: Ipv6Addr,
    /// What happens to TCP connections from before the rules: `reset` or `keep`.
    #[serde(deserialize_with = "earlier_connections")]
    #[cfg_attr(feature = "schema", schemars(with = "EarlierConnectionsName"))]
    pub earlier_connections: EarlierConnections,
}

/// What happens to connections from before the rules.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum EarlierConnectionsName {
    /// They are reset where connection tracking was not active before, as with Istio CNI.
    Reset,
    /// They continue past ztunnel.
    Keep,
}

/// What the JSON of a selector may be.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
struct SelectorPair {
    /// A Kubernetes label selector for the pod.
    pod_selector: Option<serde_json::Map<String, serde_json::Value>>,
    /// A Kubernetes label selector for its namespace.
    namespace_selector: Option<serde_json::Map<String, serde_json::Value>>,
}

impl AmbientConf {
    /// What the field must be.
    pub(super) const EXPECTED: &str = "an object with the settings of ambient mode";

    /// Every field.
    pub(super) const FIELDS: [&str; 7] = [
        "enablement_selectors",
        "system_namespace",
        "dns_capture",
        "ipv6",
        "host_probe_snat_ip",
        "host_probe_snat_ipv6",
        "earlier_connections",
    ];

    /// Which pods are in ambient mode.
    pub(super) fn policy(&self) -> AmbientPolicy {
        AmbientPolicy {
            selectors: self.enablement_selectors.clone(),
            system_namespace: self.system_namespace.clone(),
        }
    }

    /// The settings of pods without annotations.
    pub fn settings(&self) -> Settings<'_> {
        Settings {
            annotations: None,
            dns: self.dns_capture,
            probe_sources: (self.host_probe_snat_ip, self.host_probe_snat_ipv6),
            ipv6: self.ipv6,
            earlier_connections: self.earlier_connections,
        }
    }
}

impl Default for AmbientConf {
    fn default() -> Self {
        let AmbientPolicy {
            selectors,
            system_namespace,
        } = AmbientPolicy::default();
        Self {
            enablement_selectors: selectors,
            system_namespace,
            dns_capture: true,
            ipv6: true,
            host_probe_snat_ip: PROBE_SOURCE_V4,
            host_probe_snat_ipv6: PROBE_SOURCE_V6,
            earlier_connections: EarlierConnections::default(),
        }
    }
}

/// An empty list would serve no pod at all, in silence.
fn at_least_one<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<EnablementSelector>, D::Error> {
    let selectors = Vec::deserialize(deserializer)?;
    if selectors.is_empty() {
        return Err(D::Error::custom(
            "expected at least one selector: remove `ambient` from `profile` to serve no pod",
        ));
    }
    Ok(selectors)
}

fn earlier_connections<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<EarlierConnections, D::Error> {
    Ok(match EarlierConnectionsName::deserialize(deserializer)? {
        EarlierConnectionsName::Reset => EarlierConnections::Reset,
        EarlierConnectionsName::Keep => EarlierConnections::Keep,
    })
}
