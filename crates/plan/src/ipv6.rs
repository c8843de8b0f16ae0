//! IPv6 addresses of a pod that gets no IPv6 rules.

use std::net::IpAddr;

use mesh_cni_netfilter::{Family, RuleSet};
use mesh_cni_rules::{Warning, WarningCode, is_usable};
use mesh_cni_selector::Mesh;

/// A warning if one of the pod's addresses is IPv6 and no rule applies to its traffic. Link-local
/// addresses, which nearly every pod has, cause none.
pub fn ipv6_without_rules(
    mesh: Mesh,
    addresses: &[IpAddr],
    rule_sets: &[RuleSet],
) -> Option<Warning> {
    let mut addresses = addresses.iter().copied();
    let address = addresses.find(|ip| ip.is_ipv6() && is_usable(*ip))?;
    let (why, instead) = match mesh {
        Mesh::Istio => (
            ", because its first address is IPv4",
            "ISTIO_DUAL_STACK of istio-proxy to true",
        ),
        Mesh::Linkerd => ("", "`ipv6` in field `linkerd` to true"),
        Mesh::Kuma => (
            ", because its `ipFamilyMode` is `ipv4`",
            "`ipFamilyMode` to `dualstack`",
        ),
        Mesh::Ambient => (
            ", because `ipv6` in field `ambient` is false",
            "`ipv6` in field `ambient` to true",
        ),
    };
    (!has_ipv6_rules(rule_sets)).then(|| {
        Warning::new(
            WarningCode::Ipv6WithoutRules,
            format!(
                "the pod has address {address} and gets no IPv6 rules{why}: IPv6 traffic bypasses \
                 the proxy; set field `ipv6` of the plugin's configuration to `reject` or \
                 `redirect`, or {instead}"
            ),
        )
    })
}

pub(crate) fn has_ipv6_rules(rule_sets: &[RuleSet]) -> bool {
    let mut families = rule_sets.iter().map(|rules| rules.family);
    families.any(|family| family == Family::V6)
}
