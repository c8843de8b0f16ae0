//! Compares what two configurations do with the same pods. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use error_reporter::Report;
use mesh_cni_netfilter::{RuleSet, render};
use mesh_cni_plan::{Decision, MeshConf, PlanError, decide, rule_counts};
use mesh_cni_selector::PodFacts;
use similar::{ChangeTag, TextDiff};

use crate::case::OWN_POD;

/// The result for all pods.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// How many pods were compared.
    pub(super) pods: usize,
    /// The largest group first.
    pub(super) groups: Vec<Group>,
    /// Pods whose decision depends on facts that are missing.
    pub(super) unknown: Vec<Unknown>,
}

/// Pods with the same change.
#[derive(Debug)]
pub(super) struct Group {
    /// What the old configuration does with the first pod.
    pub(super) old: Effect,
    /// What the new one does with it.
    pub(super) new: Effect,
    /// The rules that are removed (`-`) and added (`+`).
    pub(super) rules: Vec<String>,
    /// `NAMESPACE/NAME`, in their order.
    pub(super) pods: Vec<String>,
}

/// A pod whose decision is not known.
#[derive(Debug)]
pub(super) struct Unknown {
    /// `NAMESPACE/NAME`.
    pub(super) pod: String,
    /// The facts that are missing.
    pub(super) reason: String,
}

/// What a configuration does with a pod.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    /// `redirect`, `skip` or `refuse`.
    pub(super) decision: &'static str,
    /// The number of rules, or why there are none.
    pub(super) detail: String,
    /// The rules of all families, one on each line.
    rules: String,
}

impl Comparison {
    pub(super) fn new(pods: &[PodFacts], old: &MeshConf, new: &MeshConf) -> Self {
        let mut comparison = Self {
            pods: pods.len(),
            ..Self::default()
        };
        let mut groups: BTreeMap<_, Group> = BTreeMap::new();
        for facts in pods {
            let pod = format!("{}/{}", facts.namespace, facts.name);
            let (old, new) = match (Effect::new(facts, old), Effect::new(facts, new)) {
                (Ok(old), Ok(new)) => (old, new),
                (Err(reason), _) | (_, Err(reason)) => {
                    comparison.unknown.push(Unknown { pod, reason });
                    continue;
                }
            };
            if (old.decision, &old.rules) == (new.decision, &new.rules) {
                continue;
            }
            let rules = changes(&old.rules, &new.rules);
            let group = groups
                .entry((old.decision, new.decision, rules.clone()))
                .or_insert_with(|| Group {
                    old,
                    new,
                    rules,
                    pods: Vec::new(),
                });
            group.pods.push(pod);
        }
        comparison.groups = groups.into_values().collect();
        for group in &mut comparison.groups {
            group.pods.sort();
        }
        comparison
            .groups
            .sort_by_key(|group| std::cmp::Reverse(group.pods.len()));
        comparison
    }

    /// Whether every pod is treated equally, as far as all facts are known.
    pub(super) fn is_equal(&self) -> bool {
        self.groups.is_empty() && self.unknown.is_empty()
    }
}

impl Effect {
    /// The error says which facts are missing.
    fn new(facts: &PodFacts, conf: &MeshConf) -> Result<Self, String> {
        let without_rules = |decision, detail| Self {
            decision,
            detail,
            rules: String::new(),
        };
        Ok(match decide(facts, conf) {
            Ok(Decision::Redirect(redirection)) => Self {
                decision: "redirect",
                detail: rule_counts(&redirection.rule_sets),
                rules: redirection.rule_sets.iter().map(lines).collect(),
            },
            Ok(Decision::Skip(reason)) => without_rules("skip", reason.to_string()),
            Ok(Decision::OwnPod) => without_rules("skip", OWN_POD.to_owned()),
            Err(PlanError::MissingFacts(missing)) => return Err(missing.to_string()),
            Err(error) => without_rules("refuse", Report::new(error).to_string()),
        })
    }
}

/// The rules of one family, each with its table.
fn lines(rules: &RuleSet) -> String {
    let mut table = String::new();
    let mut lines = String::new();
    for line in render::restore(rules).lines() {
        match line.strip_prefix('*') {
            Some(name) => name.clone_into(&mut table),
            None if line == "COMMIT" => {}
            None => {
                let _infallible = writeln!(lines, "{} {table}: {line}", rules.family);
            }
        }
    }
    lines
}

/// The lines that differ.
fn changes(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let changed = diff.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Equal => return None,
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        Some(format!("{sign} {}", change.value().trim_end()))
    });
    changed.collect()
}
