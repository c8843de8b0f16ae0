//! The rules that a pod should have, from the plugin or from the pod's own `istio-init`.

use std::net::IpAddr;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_plan::{Decision, MeshConf, PlanError, Warning, decide};
use mesh_cni_rules::compile;
use mesh_cni_selector::PodFacts;

use crate::case::OWN_POD;
use crate::init::container::{self, OwnInit};

/// The rules that a pod should have.
#[derive(Debug)]
pub(super) struct Wanted {
    /// One set for each family; a family without rules has an empty one.
    pub(super) rule_sets: Vec<RuleSet>,
    /// What applies them.
    pub(super) by: By,
    /// Warnings about the pod's settings.
    pub(super) warnings: Vec<Warning>,
}

/// What applies a pod's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The plugin.
    Plugin,
    /// The pod's `istio-init` container.
    OwnInit,
    /// The pod has no rules, for that reason.
    None(String),
}

/// The rules for a namespace with these addresses.
pub(super) fn wanted(
    facts: &PodFacts,
    conf: &MeshConf,
    addresses: &[IpAddr],
) -> Result<Wanted, WantedError> {
    let facts = PodFacts {
        addresses: addresses.to_vec(),
        ..facts.clone()
    };
    let reason = match decide(&facts, conf)? {
        Decision::Redirect(redirection) => {
            return Ok(Wanted {
                rule_sets: both(&redirection.rule_sets),
                by: By::Plugin,
                warnings: redirection.warnings,
            });
        }
        Decision::Skip(reason) => reason.to_string(),
        Decision::OwnPod => OWN_POD.to_owned(),
    };
    match container::own_init(&facts)? {
        Some(own) => Ok(of_own_init(&own, addresses)),
        None => Ok(Wanted {
            rule_sets: both(&[]),
            by: By::None(reason),
            warnings: Vec::new(),
        }),
    }
}

/// A pod whose rules cannot be determined.
#[derive(Debug, thiserror::Error)]
pub(super) enum WantedError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("its istio-init container: {0}")]
    OwnInit(#[from] container::Unreadable),
}

fn of_own_init(own: &OwnInit, addresses: &[IpAddr]) -> Wanted {
    let rule_sets: Vec<_> = own
        .interception
        .families(addresses)
        .into_iter()
        .map(|family| compile(&own.interception, own.dialect, family))
        .collect();
    Wanted {
        rule_sets: both(&rule_sets),
        by: By::OwnInit,
        warnings: Vec::new(),
    }
}

/// One set for each family, IPv4 first.
fn both(rule_sets: &[RuleSet]) -> Vec<RuleSet> {
    let of = |family| {
        let found = rule_sets.iter().find(|rules| rules.family == family);
        found.cloned().unwrap_or_else(|| RuleSet::new(family))
    };
    Family::ALL.map(of).into()
}
