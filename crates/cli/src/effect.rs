//! What the plugin does with a pod, in a form that can be saved and compared with another configuration or
//! another release: the decision, and the rules as text.

use std::collections::BTreeMap;
use std::path::Path;

use error_reporter::Report;
use mesh_cni_agent_api::PodDecision;
use mesh_cni_netfilter::ruleset::PolicyRouting;
use mesh_cni_netfilter::{RuleSet, render};
use mesh_cni_plan::{Decision, MeshConf, PlanError, decide, rule_counts};
use mesh_cni_selector::{PodFacts, SelectError};
use serde::{Deserialize, Serialize};

use crate::case::OWN_POD;
use crate::failure::{Exit, Failure};
use crate::input;

/// What a configuration does with a pod.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Effect {
    /// What an ADD of the pod does; `unknown` if it depends on facts that are missing.
    pub(crate) decision: PodDecision,
    /// The number of rules, or why there are none.
    pub(crate) reason: String,
    /// The rules of all families: the family, the table, and the line as iptables-restore reads it.
    pub(crate) rules: Vec<String>,
}

/// A pod, and what a configuration does with it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct PodEffect {
    /// The pod's namespace.
    namespace: String,
    /// The pod's name.
    name: String,
    #[serde(flatten)]
    pub(crate) effect: Effect,
}

impl Effect {
    pub(crate) fn new(facts: &PodFacts, conf: &MeshConf) -> Self {
        let without_rules = |decision, reason| Self {
            decision,
            reason,
            rules: Vec::new(),
        };
        match decide(facts, conf) {
            Ok(Decision::Redirect(redirection)) => Self {
                decision: PodDecision::Redirect,
                reason: rule_counts(&redirection.rule_sets),
                rules: redirection.rule_sets.iter().flat_map(lines).collect(),
            },
            Ok(Decision::Enrol(redirection)) => Self {
                decision: PodDecision::Enrol,
                reason: rule_counts(&redirection.rule_sets),
                rules: redirection.rule_sets.iter().flat_map(lines).collect(),
            },
            Ok(Decision::Skip(reason)) => without_rules(PodDecision::Skip, reason.to_string()),
            Ok(Decision::OwnPod) => without_rules(PodDecision::Skip, OWN_POD.to_owned()),
            Err(PlanError::Select(SelectError::MissingFacts(missing))) => {
                without_rules(PodDecision::Unknown, missing.to_string())
            }
            Err(error) => without_rules(PodDecision::Refuse, Report::new(error).to_string()),
        }
    }

    /// As `select` and `render` end: 0 for a redirected or enrolled pod, 1 for a skipped one, 2 for a refused one.
    pub(crate) fn exit(&self) -> Exit {
        match self.decision {
            PodDecision::Redirect | PodDecision::Enrol => Exit::Done,
            PodDecision::Skip => Exit::No,
            _ => Exit::Wrong,
        }
    }
}

impl PodEffect {
    pub(crate) fn new(facts: &PodFacts, conf: &MeshConf) -> Self {
        Self {
            namespace: facts.namespace.clone(),
            name: facts.name.clone(),
            effect: Effect::new(facts, conf),
        }
    }
}

/// A [`PodEffect`] that another release wrote, whose decision this one may not know.
#[derive(Deserialize)]
struct SavedEffect {
    namespace: String,
    name: String,
    decision: String,
    reason: String,
    rules: Vec<String>,
}

impl From<SavedEffect> for Effect {
    fn from(saved: SavedEffect) -> Self {
        let decision: PodDecision =
            serde_json::from_value(saved.decision.as_str().into()).unwrap_or_default();
        let reason = match decision {
            PodDecision::Unknown if saved.decision != decision.as_str() => {
                format!(
                    "--rules-old has decision `{}`, which this release does not know",
                    saved.decision
                )
            }
            PodDecision::Unknown => format!("--rules-old: {}", saved.reason),
            _ => saved.reason,
        };
        Self {
            decision,
            reason,
            rules: saved.rules,
        }
    }
}

/// Reads what `render --output json` printed: the effects by `NAMESPACE/NAME`.
pub(crate) fn saved(path: &Path) -> Result<BTreeMap<String, Effect>, Failure> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Saved {
        Several(Vec<SavedEffect>),
        One(SavedEffect),
    }
    let text = input::list_text(path)?;
    let saved = serde_json::from_str(&text).map_err(|error| {
        Failure::wrong(error)
            .about(format!("rules `{}`", path.display()))
            .hint(
                "save them with `mesh-cnictl render --output json --pod PODS` of the other release",
            )
    })?;
    let effects = match saved {
        Saved::Several(effects) => effects,
        Saved::One(effect) => vec![effect],
    };
    let named = |pod: SavedEffect| (format!("{}/{}", pod.namespace, pod.name), pod.into());
    Ok(effects.into_iter().map(named).collect())
}

/// The rules of one family, and its policy routing.
fn lines(rules: &RuleSet) -> Vec<String> {
    let family = rules.family;
    let mut table = String::new();
    let mut lines = Vec::new();
    for line in render::restore(rules).lines() {
        match line.strip_prefix('*') {
            Some(name) => name.clone_into(&mut table),
            None if line == "COMMIT" => {}
            None => lines.push(format!("{family} {table}: {line}")),
        }
    }
    lines.extend(rules.routing.map(|PolicyRouting { mark, table, .. }| {
        format!("{family} routing: packets with mark {mark} use table {table}")
    }));
    lines
}
