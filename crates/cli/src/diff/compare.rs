//! Compares what two configurations, or two releases, do with the same pods. Pure.

use std::collections::BTreeMap;

use mesh_cni_agent_api::PodDecision;
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;
use similar::{ChangeTag, TextDiff};

use crate::effect::Effect;

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

/// What the new configuration is compared with.
pub(super) enum Old {
    /// Another configuration.
    Conf(Box<MeshConf>),
    /// What another release does, by `NAMESPACE/NAME`.
    Rules(BTreeMap<String, Effect>),
}

impl Old {
    /// What it does with a pod; none if the pod was not saved.
    fn effect(&self, pod: &str, facts: &PodFacts) -> Option<Effect> {
        match self {
            Self::Conf(conf) => Some(Effect::new(facts, conf)),
            Self::Rules(effects) => effects.get(pod).cloned(),
        }
    }
}

impl Comparison {
    pub(super) fn new(pods: &[PodFacts], old: &Old, new: &MeshConf) -> Self {
        let mut comparison = Self {
            pods: pods.len(),
            ..Self::default()
        };
        let mut groups: BTreeMap<_, Group> = BTreeMap::new();
        for facts in pods {
            let pod = format!("{}/{}", facts.namespace, facts.name);
            let new = Effect::new(facts, new);
            let Some(old) = old.effect(&pod, facts) else {
                let reason = "the pod is not in --rules-old".to_owned();
                comparison.unknown.push(Unknown { pod, reason });
                continue;
            };
            let unknown = [&old, &new]
                .into_iter()
                .find(|effect| effect.decision == PodDecision::Unknown);
            if let Some(Effect { reason, .. }) = unknown {
                let reason = reason.clone();
                comparison.unknown.push(Unknown { pod, reason });
                continue;
            }
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

/// The lines that differ.
fn changes(old: &[String], new: &[String]) -> Vec<String> {
    let lines = |rules: &[String]| rules.join("\n") + "\n";
    let (old, new) = (lines(old), lines(new));
    let diff = TextDiff::from_lines(&old, &new);
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
