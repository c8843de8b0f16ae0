//! Pods of Kuma: from facts and configuration to rules.

use mesh_cni_netfilter::Uid;
use mesh_cni_rules::kuma::{PodSettings, config};
use mesh_cni_rules::{Interception, is_usable};
use mesh_cni_selector::{Mesh, PodFacts, SidecarKind};
use thiserror::Error;

use crate::decide::{PlanError, Redirection};
use crate::identity::{self, Exempt, user};
use crate::mesh_conf::{Ipv6Mode, MeshConf};

/// The sidecar runs as another user than the one that the rules exempt: its own traffic would return
/// to it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "container kuma-sidecar runs as user {user}, and the rules exempt user {}: its own traffic would \
     return to it; set kumaDPUser, or annotation kuma.io/sidecar-uid, to the user of kuma-sidecar",
    exempt.0
)]
pub struct SidecarRedirected {
    /// The user of the container.
    pub user: i64,
    /// The user that the rules exempt.
    pub exempt: Uid,
}

pub(crate) fn redirection(
    facts: &PodFacts,
    conf: &MeshConf,
    sidecar: Option<SidecarKind>,
) -> Result<Redirection, PlanError> {
    let config = config(&facts.annotations)?;
    let dns_servers = facts.name_servers.with_cluster(&conf.cluster_dns);
    let settings = PodSettings {
        annotations: Some(&facts.annotations),
        config: config.as_ref(),
        dns_servers: &dns_servers,
    };
    let resolved = settings.resolve()?;
    let mut interception = resolved.interception;
    interception.dual_stack |= conf.ipv6 == Ipv6Mode::Redirect;
    check_user(facts, interception.proxy_uid)?;
    let mut warnings = resolved.warnings;
    let families = interception.families(&facts.addresses);
    // Without addresses the families are not known yet.
    if facts.addresses.iter().copied().any(is_usable) {
        warnings.extend(settings.check_families(&interception, &families));
    }
    let exempt = Exempt {
        mesh: Mesh::Kuma,
        usual: 5678,
        uids: &[interception.proxy_uid],
        gids: &[],
        captures_all: interception.outbound.enabled,
    };
    warnings.extend(identity::check(facts, &exempt)?);
    let compiled = families
        .into_iter()
        .map(|family| interception.compile(family));
    let rule_sets: Vec<_> = compiled.collect();
    settings.check_rule_count(&interception, &rule_sets)?;
    Ok(Redirection {
        sidecar,
        interception: Interception::Kuma(interception),
        rule_sets,
        warnings,
    })
}

/// A user that only the image of the sidecar sets is not known.
fn check_user(facts: &PodFacts, exempt: Uid) -> Result<(), SidecarRedirected> {
    let proxy = facts.proxy(Mesh::Kuma);
    match proxy.and_then(|proxy| user(proxy.container, facts)) {
        Some(user) if user != i64::from(exempt.0) => Err(SidecarRedirected { user, exempt }),
        _ => Ok(()),
    }
}
