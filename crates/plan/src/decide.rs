//! The decision for one pod: what an ADD would do.

use mesh_cni_netfilter::RuleSet;
use mesh_cni_rules::interception::is_usable;
use mesh_cni_rules::settings::{InvalidSetting, TooManyRules};
use mesh_cni_rules::{
    Interception, PodSettings, Warning, WarningCode, compile, redirects, reject_ipv6,
};
use mesh_cni_selector::{MissingFacts, PodFacts, Selection, SidecarKind, SkipReason, select};
use thiserror::Error;

use crate::identity::{self, ProxyRedirected};
use crate::ipv6::{has_ipv6_rules, ipv6_without_rules};
use crate::mesh_conf::{Ipv6Mode, MeshConf};

/// Environment variables of the proxy that decide whether and how it is redirected to.
const RULE_VARIABLES: [&str; 4] = [
    "DISABLE_ENVOY",
    "ISTIO_META_DNS_CAPTURE",
    "INVALID_DROP",
    "ISTIO_DUAL_STACK",
];

/// What an ADD would do for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the pod belongs to the agent, and must not wait for it.
    OwnPod,
    /// Nothing, for that reason.
    Skip(SkipReason),
    /// Redirect the pod's traffic.
    Redirect(Box<Redirection>),
}

/// A redirection, ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirection {
    /// The kind of sidecar that the pod has.
    pub sidecar: SidecarKind,
    /// What is captured.
    pub interception: Interception,
    /// The rules, one set for each family, IPv4 first.
    pub rule_sets: Vec<RuleSet>,
    /// Problems that do not refuse the pod.
    pub warnings: Vec<Warning>,
}

/// A pod that must not start, because its facts or settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The policy needs facts that are missing.
    #[error(transparent)]
    MissingFacts(#[from] MissingFacts),
    /// A setting of the pod is invalid.
    #[error(transparent)]
    InvalidSetting(#[from] InvalidSetting),
    /// The settings of the pod cause too many rules.
    #[error(transparent)]
    TooManyRules(#[from] TooManyRules),
    /// The rules would redirect the proxy's own traffic to the proxy.
    #[error(transparent)]
    ProxyRedirected(#[from] ProxyRedirected),
}

/// Decides by the pod's name alone. `None` if the decision needs the pod's facts.
pub fn decide_by_name(conf: &MeshConf, namespace: &str, name: &str) -> Option<Decision> {
    if conf.is_agent_pod(namespace, name) {
        return Some(Decision::OwnPod);
    }
    let excluded = conf.policy().exclude_by_name(namespace);
    excluded.map(Decision::Skip)
}

/// Decides for one pod, by its name where that is enough.
///
/// Without [addresses](PodFacts::addresses) the pod gets IPv4 rules, and IPv6 ranges in its settings
/// cause no warnings.
pub fn decide(facts: &PodFacts, conf: &MeshConf) -> Result<Decision, PlanError> {
    if let Some(decision) = decide_by_name(conf, &facts.namespace, &facts.name) {
        return Ok(decision);
    }
    Ok(match select(facts, &conf.policy())? {
        Selection::Skip(reason) => Decision::Skip(reason),
        Selection::Redirect(sidecar) => {
            Decision::Redirect(Box::new(redirection(facts, conf, sidecar)?))
        }
    })
}

fn redirection(
    facts: &PodFacts,
    conf: &MeshConf,
    sidecar: SidecarKind,
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
    warnings.extend(identity::check(facts, &interception)?);
    warnings.extend(unknown_values(facts));
    let mut rule_sets: Vec<_> = families
        .into_iter()
        .map(|family| compile(&interception, conf.dialect(), family))
        .collect();
    settings.check_rule_count(&interception, conf.dialect(), &rule_sets)?;
    match conf.ipv6 {
        Ipv6Mode::AsMesh | Ipv6Mode::Redirect => {
            warnings.extend(ipv6_without_rules(&facts.addresses, &rule_sets));
        }
        Ipv6Mode::Reject if !has_ipv6_rules(&rule_sets) => rule_sets.push(reject_ipv6()),
        Ipv6Mode::Reject => {}
    }
    Ok(Redirection {
        sidecar,
        interception,
        rule_sets,
        warnings,
    })
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

/// A warning for each rule variable whose value is not in the pod's manifest.
fn unknown_values(facts: &PodFacts) -> impl Iterator<Item = Warning> + '_ {
    facts
        .proxy()
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

/// For example `12 IPv4 rules and 12 IPv6 rules`, or `12 IPv4 rules and IPv6 refused`.
pub fn rule_counts(rule_sets: &[RuleSet]) -> String {
    let counts: Vec<_> = rule_sets
        .iter()
        .map(|rules| match rules.family {
            family if redirects(rules) => format!("{} {family} rules", rules.rule_count()),
            family => format!("{family} refused"),
        })
        .collect();
    counts.join(" and ")
}
