//! Which rules of a chain are interchangeable.
//!
//! Adjacent rules with the same target are: whichever of them matches a packet first, the effect is
//! the same. Twenty excluded ports are twenty such rules.

use crate::ruleset::{Rule, Target};

/// The rules of a chain as the longest runs of interchangeable ones.
pub fn runs(rules: &[Rule]) -> impl Iterator<Item = &[Rule]> {
    rules.chunk_by(are_interchangeable)
}

/// Whether both lists are equal, except for the order of interchangeable rules.
pub(crate) fn are_equivalent(one: &[&Rule], other: &[&Rule]) -> bool {
    let (one, other) = (sorted_runs(one), sorted_runs(other));
    let mut pairs = one.iter().zip(&other);
    one.len() == other.len() && pairs.all(|(one, other)| one.is_equivalent(other))
}

/// The effect of an opaque target is unknown, so it may depend on the order.
fn are_interchangeable(one: &Rule, next: &Rule) -> bool {
    one.target == next.target && !matches!(one.target, Target::Opaque(_))
}

fn sorted_runs<'rules>(rules: &[&'rules Rule]) -> Vec<&'rules Rule> {
    let mut sorted = Vec::with_capacity(rules.len());
    for run in rules.chunk_by(|one, next| are_interchangeable(one, next)) {
        let start = sorted.len();
        sorted.extend_from_slice(run);
        sorted[start..].sort_by_cached_key(|rule: &&Rule| rule.canonical_matches());
    }
    sorted
}
