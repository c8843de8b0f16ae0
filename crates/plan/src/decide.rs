//! The decision for one pod: what an ADD would do.

use mesh_cni_netfilter::RuleSet;
use mesh_cni_rules::kuma::UnreadableConfig;
use mesh_cni_rules::{Interception, InvalidSetting, TooManyRules, Warning, redirects, reject_ipv6};
use mesh_cni_selector::{Mesh, PodFacts, SelectError, Selection, SidecarKind, SkipReason, select};
use thiserror::Error;

use crate::identity::ProxyRedirected;
use crate::ipv6::{has_ipv6_rules, ipv6_without_rules};
use crate::kuma::{self, SidecarRedirected};
use crate::mesh_conf::{Ipv6Mode, MeshConf};
use crate::{ambient, istio, linkerd};

/// What an ADD would do for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the pod belongs to the agent, and must not wait for it.
    OwnPod,
    /// Nothing, for that reason.
    Skip(SkipReason),
    /// Redirect the pod's traffic to its sidecar.
    Redirect(Box<Redirection>),
    /// Redirect the pod's traffic to ztunnel, which must know the pod before the pod starts.
    Enrol(Box<Redirection>),
}

/// A redirection, ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirection {
    /// The kind of sidecar that the pod has; `None` in ambient mode.
    pub sidecar: Option<SidecarKind>,
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
    /// The policy does not decide about the pod.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A setting of the pod is invalid.
    #[error(transparent)]
    InvalidSetting(#[from] InvalidSetting),
    /// The configuration of Kuma is not readable.
    #[error(transparent)]
    UnreadableConfig(#[from] UnreadableConfig),
    /// The settings of the pod cause too many rules.
    #[error(transparent)]
    TooManyRules(#[from] TooManyRules),
    /// The rules would redirect the proxy's own traffic to the proxy.
    #[error(transparent)]
    ProxyRedirected(#[from] ProxyRedirected),
    /// The same for a sidecar of Kuma.
    #[error(transparent)]
    SidecarRedirected(#[from] SidecarRedirected),
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
    let (mesh, sidecar) = match select(facts, &conf.policy())? {
        Selection::Skip(reason) => return Ok(Decision::Skip(reason)),
        Selection::Redirect { mesh, sidecar } => (mesh, Some(sidecar)),
        Selection::Enrol => (Mesh::Ambient, None),
    };
    let redirection = Box::new(redirection(facts, conf, mesh, sidecar)?);
    Ok(match mesh {
        Mesh::Istio | Mesh::Linkerd | Mesh::Kuma => Decision::Redirect(redirection),
        Mesh::Ambient => Decision::Enrol(redirection),
    })
}

fn redirection(
    facts: &PodFacts,
    conf: &MeshConf,
    mesh: Mesh,
    sidecar: Option<SidecarKind>,
) -> Result<Redirection, PlanError> {
    let mut redirection = match mesh {
        Mesh::Istio => istio::redirection(facts, conf, sidecar)?,
        Mesh::Linkerd => linkerd::redirection(facts, conf, sidecar)?,
        Mesh::Kuma => kuma::redirection(facts, conf, sidecar)?,
        Mesh::Ambient => ambient::redirection(facts, conf)?,
    };
    let rule_sets = &mut redirection.rule_sets;
    match conf.ipv6 {
        Ipv6Mode::AsMesh | Ipv6Mode::Redirect => {
            let warning = ipv6_without_rules(mesh, &facts.addresses, rule_sets);
            redirection.warnings.extend(warning);
        }
        Ipv6Mode::Reject if !has_ipv6_rules(rule_sets) => rule_sets.push(reject_ipv6()),
        Ipv6Mode::Reject => {}
    }
    Ok(redirection)
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
