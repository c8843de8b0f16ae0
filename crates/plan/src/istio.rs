//! Pods of Istio: from facts and configuration to rules.

use mesh_cni_rules::istio::interception::OutboundRanges;
use mesh_cni_rules::istio::{PodSettings, compile};
use mesh_cni_rules::{Interception, Warning, WarningCode, is_usable};
use mesh_cni_selector::{Mesh, PodFacts, SidecarKind};

use crate::decide::{PlanError, Redirection};
use crate::identity::{self, Exempt};
use crate::mesh_conf::{Ipv6Mode, MeshConf};

/// Environment variables of the proxy that decide whether and how it is redirected to.
const RULE_VARIABLES: [&str; 4] = [
    "DISABLE_ENVOY",
    "ISTIO_META_DNS_CAPTURE",
    "INVALID_DROP",
    "ISTIO_DUAL_STACK",
];

pub(crate) fn redirection(
    facts: &PodFacts,
    conf: &MeshConf,
    sidecar: Option<SidecarKind>,
) -> Result<Redirection, PlanError> {
    let settings = settings(facts, conf);
    let resolved = settings.resolve()?;
    let mut interception = resolved.interception;
    interception.dual_stack |= conf.ipv6 == Ipv6Mode::Redirect;
    let families = interception.families(&facts.addresses);
    let mut warnings = resolved.warnings;
    // Without addresses the families are not known yet.
    if facts.addresses.iter().copied().any(is_usable) {
        warnings.extend(settings.check_families(&families)?);
    }
    let exempt = Exempt {
        mesh: Mesh::Istio,
        usual: 1337,
        uids: &interception.proxy_uids,
        gids: &interception.proxy_gids,
        captures_all: interception.outbound_ranges == OutboundRanges::All,
    };
    warnings.extend(identity::check(facts, &exempt)?);
    warnings.extend(unknown_values(facts));
    let dialect = conf.dialect();
    let rule_sets: Vec<_> = families
        .into_iter()
        .map(|family| compile(&interception, dialect, family))
        .collect();
    settings.check_rule_count(&interception, dialect, &rule_sets)?;
    Ok(Redirection {
        sidecar,
        interception: Interception::Istio(interception, dialect),
        rule_sets,
        warnings,
    })
}

fn settings<'pod>(facts: &'pod PodFacts, conf: &'pod MeshConf) -> PodSettings<'pod> {
    let proxy = facts.proxy(Mesh::Istio).map(|proxy| proxy.container);
    PodSettings {
        annotations: Some(&facts.annotations),
        defaults: Some(&conf.defaults),
        proxy_env: proxy.map(|container| &container.env),
        run_as_user: proxy.and_then(|container| container.run_as_user),
        run_as_group: proxy.and_then(|container| container.run_as_group),
    }
}

/// A warning for each rule variable whose value is not in the pod's manifest.
fn unknown_values(facts: &PodFacts) -> impl Iterator<Item = Warning> + '_ {
    facts
        .proxy(Mesh::Istio)
        .into_iter()
        .flat_map(|proxy| &proxy.container.env_from)
        .filter(|name| RULE_VARIABLES.contains(&name.as_str()))
        .map(|name| {
            Warning::new(
                WarningCode::UnknownValue,
                format!(
                    "environment variable `{name}` of the proxy has no literal value and counts as \
                     false"
                ),
            )
        })
}
