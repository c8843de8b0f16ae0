//! Pods of Linkerd: from facts and configuration to rules.

use mesh_cni_rules::linkerd::{Interception as LinkerdInterception, PodSettings, compile};
use mesh_cni_rules::{Interception, Warning, WarningCode, is_usable};
use mesh_cni_selector::{Mesh, MissingFacts, PodFacts, SelectError, SidecarKind};

use crate::decide::{PlanError, Redirection};
use crate::identity::{self, Exempt};
use crate::mesh_conf::{Ipv6Mode, MeshConf};

/// The label of pods of the control plane.
const CONTROL_PLANE: &str = "linkerd.io/control-plane-component";

pub(crate) fn redirection(
    facts: &PodFacts,
    conf: &MeshConf,
    sidecar: Option<SidecarKind>,
) -> Result<Redirection, PlanError> {
    let settings = settings(facts, conf)?;
    let resolved = settings.resolve()?;
    let mut interception = resolved.interception;
    let mut usable = facts.addresses.iter().filter(|ip| is_usable(**ip));
    interception.ipv6 |= conf.ipv6 == Ipv6Mode::Redirect && usable.any(std::net::IpAddr::is_ipv6);
    let mut warnings = resolved.warnings;
    let (uids, gids) = (
        Vec::from_iter(interception.proxy_uid),
        Vec::from_iter(interception.proxy_gid),
    );
    if uids.is_empty() && gids.is_empty() {
        warnings.push(Warning::new(
            WarningCode::ProxyRedirectedToItself,
            "the rules exempt no user and no group, so the proxy's own traffic returns to it; set \
             runAsUser of linkerd-proxy, usually to 2102",
        ));
    } else {
        let exempt = Exempt {
            mesh: Mesh::Linkerd,
            usual: 2102,
            uids: &uids,
            gids: &gids,
            captures_all: true,
        };
        warnings.extend(identity::check(facts, &exempt)?);
    }
    let families = interception.families().into_iter();
    let rule_sets: Vec<_> = families
        .map(|family| compile(&interception, family))
        .collect();
    settings.check_rule_count(&interception, &rule_sets)?;
    Ok(Redirection {
        sidecar,
        interception: Interception::Linkerd(interception),
        rule_sets,
        warnings,
    })
}

fn settings<'pod>(
    facts: &'pod PodFacts,
    conf: &'pod MeshConf,
) -> Result<PodSettings<'pod>, PlanError> {
    if facts.namespace_annotations.is_none() && conf.knows_namespaces() {
        return Err(SelectError::from(MissingFacts::NamespaceAnnotations {
            namespace: facts.namespace.clone(),
            mesh: Mesh::Linkerd,
        })
        .into());
    }
    let defaults = match &conf.linkerd {
        Some(linkerd) => linkerd.interception()?,
        None => LinkerdInterception::pod_default(),
    };
    let component = facts.labels.get(CONTROL_PLANE);
    let is_control_plane = component.is_some_and(|component| !component.is_empty());
    let proxy = facts.proxy(Mesh::Linkerd).map(|proxy| proxy.container);
    Ok(PodSettings {
        defaults,
        annotations: Some(&facts.annotations),
        namespace_annotations: facts.namespace_annotations.as_ref(),
        proxy_env: proxy.map(|container| &container.env),
        run_as_user: proxy.and_then(|container| container.run_as_user),
        run_as_group: proxy.and_then(|container| container.run_as_group),
        kube_api_ports: if is_control_plane {
            &conf.kube_api_ports
        } else {
            &[]
        },
    })
}
