//! Prints the result of `diff`, as text and as JSON.

use std::fmt::Write as _;

use mesh_cni_agent_api::PodDecision;
use serde::Serialize;

use super::compare::{Comparison, Group};
use crate::console::{BAD, BOLD, GOOD, Styled, WARN};
use crate::effect::Effect;

/// How many names of a group are printed without `--verbose`.
const NAMES: usize = 5;

/// The differences between two configurations.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Document {
    /// How many pods were compared.
    pods: usize,
    /// The pods that differ, those with the same change together.
    groups: Vec<ShownGroup>,
    /// Pods whose decision depends on facts that are missing.
    unknown: Vec<ShownUnknown>,
}

/// Pods with the same change.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownGroup {
    /// What the old configuration does with the first pod.
    old: ShownEffect,
    /// What the new configuration does with the first pod.
    new: ShownEffect,
    /// The rules that are removed (`-`) and added (`+`).
    rules: Vec<String>,
    /// `NAMESPACE/NAME` of each pod.
    pods: Vec<String>,
}

/// What a configuration does with a pod.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownEffect {
    /// `redirect`, `skip` or `refuse`.
    decision: PodDecision,
    /// The number of rules, or why there are none.
    reason: String,
}

/// A pod whose decision is not known.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownUnknown {
    /// `NAMESPACE/NAME`.
    pod: String,
    /// The facts that are missing.
    reason: String,
}

impl Document {
    pub(super) fn new(comparison: &Comparison) -> Self {
        let effect = |effect: &Effect| ShownEffect {
            decision: effect.decision,
            reason: effect.reason.clone(),
        };
        let group = |group: &Group| ShownGroup {
            old: effect(&group.old),
            new: effect(&group.new),
            rules: group.rules.clone(),
            pods: group.pods.clone(),
        };
        let unknown = comparison.unknown.iter().map(|unknown| ShownUnknown {
            pod: unknown.pod.clone(),
            reason: unknown.reason.clone(),
        });
        Self {
            pods: comparison.pods,
            groups: comparison.groups.iter().map(group).collect(),
            unknown: unknown.collect(),
        }
    }
}

/// The groups for people: the decisions, the names of some or all pods, and the changed rules.
pub(super) fn text(comparison: &Comparison, verbose: bool) -> String {
    let differing: usize = comparison.groups.iter().map(|group| group.pods.len()).sum();
    let mut text = format!("{differing} of {} pods differ\n", comparison.pods);
    for group in &comparison.groups {
        let count = group.pods.len();
        let pods = if count == 1 { "pod" } else { "pods" };
        let heading = Styled(BOLD, format!("{count} {pods}: {}", names(group, verbose)));
        let _infallible = writeln!(text, "\n{heading}");
        for (word, effect) in [("old", &group.old), ("new", &group.new)] {
            let (decision, reason) = (effect.decision.as_str(), &effect.reason);
            let _infallible = writeln!(text, "  {word}: {decision}, {reason}");
        }
        // All rules come or go with the decision.
        if group.old.decision == group.new.decision || verbose {
            for line in &group.rules {
                let style = if line.starts_with('-') { BAD } else { GOOD };
                let _infallible = writeln!(text, "  {}", Styled(style, line));
            }
        }
    }
    for unknown in &comparison.unknown {
        let kind = Styled(WARN, "not known:");
        let _infallible = writeln!(text, "\n{kind} {}: {}", unknown.pod, unknown.reason);
    }
    text
}

fn names(group: &Group, verbose: bool) -> String {
    let shown = if verbose { group.pods.len() } else { NAMES };
    let names: Vec<_> = group.pods.iter().take(shown).cloned().collect();
    match group.pods.len().saturating_sub(shown) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
