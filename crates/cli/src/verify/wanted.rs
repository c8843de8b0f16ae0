//! What should stand: what the plugin would program, or the pod's own `istio-init`.

use std::net::IpAddr;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_plan::{MeshConf, Plan, PlanError, plan};
use mesh_cni_rules::compile;
use mesh_cni_selector::PodFacts;

use crate::init::container::{self, OwnInit};

/// What a pod should have.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Both families; one that should have no rules is empty.
    pub(super) rule_sets: Vec<RuleSet>,
    /// Who programs them.
    pub(super) by: By,
    /// What was odd about its settings.
    pub(super) warnings: Vec<String>,
}

/// Who programs a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The plugin.
    Plugin,
    /// The pod's `istio-init` container.
    OwnInit,
    /// Nobody, for that reason.
    Nobody(String),
}

/// Works it out; `addresses` are those that the namespace has.
pub(super) fn wanted(
    facts: &PodFacts,
    conf: &MeshConf,
    addresses: &[IpAddr],
) -> Result<Wanted, WantedError> {
    let reason = match plan(facts, conf, addresses)? {
        Plan::Redirect(redirection) => {
            return Ok(Wanted {
                rule_sets: both(&redirection.rule_sets),
                by: By::Plugin,
                warnings: redirection.warnings,
            });
        }
        Plan::Skip(reason) => reason.to_string(),
    };
    match container::wish(facts)? {
        Some(own) => Ok(of_own_init(&own, addresses)),
        None => Ok(Wanted {
            rule_sets: both(&[]),
            by: By::Nobody(reason),
            warnings: Vec::new(),
        }),
    }
}

/// A pod for which nothing can be worked out.
#[derive(Debug, thiserror::Error)]
pub(super) enum WantedError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("its istio-init container: {0}")]
    OwnInit(#[from] container::Unreadable),
}

fn of_own_init(own: &OwnInit, addresses: &[IpAddr]) -> Wanted {
    let families = own.interception.families(addresses).into_iter();
    let rule_sets = families.map(|family| compile(&own.interception, own.dialect, family));
    Wanted {
        rule_sets: both(&rule_sets.collect::<Vec<_>>()),
        by: By::OwnInit,
        warnings: Vec::new(),
    }
}

/// A set for each family, in their order.
fn both(rule_sets: &[RuleSet]) -> Vec<RuleSet> {
    let of = |family: &Family| {
        let mut sets = rule_sets.iter();
        let found = sets.find(|rules| rules.family == *family);
        found.cloned().unwrap_or_else(|| RuleSet::new(*family))
    };
    Family::ALL.iter().map(of).collect()
}
