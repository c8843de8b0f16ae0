//! The answer for one pod: skip it, or these rules.

use std::net::IpAddr;

use mesh_cni_rules::interception::is_usable;
use mesh_cni_rules::settings::InvalidSetting;
use mesh_cni_rules::{Interception, PodSettings, RuleSet, compile};
use mesh_cni_selector::{MissingFacts, PodFacts, Selection, SidecarKind, SkipReason, select};
use thiserror::Error;

use crate::identity::{self, ProxyRedirected};
use crate::mesh_conf::MeshConf;

/// What is to be done for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing, for that reason.
    Skip(SkipReason),
    /// Its traffic is redirected.
    Redirect(Box<Redirection>),
}

/// A redirection, ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirection {
    /// Which kind of sidecar the pod carries.
    pub sidecar: SidecarKind,
    /// What is captured.
    pub interception: Interception,
    /// The rules, one set for each family, IPv4 first.
    pub rule_sets: Vec<RuleSet>,
    /// What was odd about the settings, one line each.
    pub warnings: Vec<String>,
}

/// A pod for which there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The policy asks for facts that are not there.
    #[error(transparent)]
    MissingFacts(#[from] MissingFacts),
    /// A setting of the pod does not parse.
    #[error(transparent)]
    InvalidSetting(#[from] InvalidSetting),
    /// The proxy's own traffic would be sent back to it.
    #[error(transparent)]
    ProxyRedirected(#[from] ProxyRedirected),
}

/// Environment variables of the proxy that steer the rules.
const STEERING: [&str; 3] = ["ISTIO_META_DNS_CAPTURE", "INVALID_DROP", "ISTIO_DUAL_STACK"];

/// Decides for one pod; `addresses` are those its interfaces have, in their order. None stands for
/// addresses that are not known: IPv4 rules then, and no range is held against them.
pub fn plan(facts: &PodFacts, conf: &MeshConf, addresses: &[IpAddr]) -> Result<Plan, PlanError> {
    let sidecar = match select(facts, &conf.policy())? {
        Selection::Skip(reason) => return Ok(Plan::Skip(reason)),
        Selection::Redirect(sidecar) => sidecar,
    };
    let settings = settings(facts, conf);
    let resolved = settings.resolve()?;
    let interception = resolved.interception;
    let families = interception.families(addresses);
    let mut warnings = resolved.warnings;
    // Of a pod whose addresses nobody knows yet, nobody knows the families either.
    if addresses.iter().copied().any(is_usable) {
        warnings.extend(settings.check_families(&families)?);
    }
    let families = families.into_iter();
    let rule_sets = families
        .map(|family| compile(&interception, conf.dialect(), family))
        .collect();
    warnings.extend(identity::check(facts, &interception)?);
    warnings.extend(unreadable_environment(facts));
    Ok(Plan::Redirect(Box::new(Redirection {
        sidecar,
        interception,
        rule_sets,
        warnings,
    })))
}

fn settings<'pod>(facts: &'pod PodFacts, conf: &'pod MeshConf) -> PodSettings<'pod> {
    let proxy = facts.proxy().map(|proxy| proxy.container);
    PodSettings {
        annotations: Some(&facts.annotations),
        defaults: Some(&conf.defaults),
        proxy_env: proxy.map(|container| &container.env),
        run_as_user: proxy.and_then(|container| container.run_as_user),
        run_as_group: proxy.and_then(|container| container.run_as_group),
    }
}

/// What the proxy takes from elsewhere cannot be known here.
fn unreadable_environment(facts: &PodFacts) -> Vec<String> {
    let proxy = facts.proxy().map(|proxy| proxy.container);
    let indirect = proxy.into_iter().flat_map(|container| &container.env_from);
    let steering = indirect.filter(|name| STEERING.contains(&name.as_str()));
    steering
        .map(|name| {
            format!("environment {name} of the proxy is no literal value and counts as false")
        })
        .collect()
}
