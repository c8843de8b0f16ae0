//! Interchange — which rules of a chain may change places without changing any packet's way.
//!
//! Rules that stand next to each other and do the same may: whichever of them a packet meets first,
//! the same happens. Twenty excluded ports are twenty such rules.

use crate::ruleset::{Rule, Target};

/// The rules of a chain as longest stretches of neighbours that do the same.
pub fn stretches(rules: &[Rule]) -> impl Iterator<Item = &[Rule]> {
    rules.chunk_by(|one, next| one.target == next.target && may_move(&one.target))
}

/// Whether both say the same, but for the places of rules that may change them.
pub(crate) fn are_equivalent(one: &[&Rule], other: &[&Rule]) -> bool {
    let (one, other) = (in_order(one), in_order(other));
    let mut pairs = one.iter().zip(&other);
    one.len() == other.len() && pairs.all(|(one, other)| one.is_equivalent(other))
}

/// What a rule does is known, so that doing it for this rule or for that one is the same.
fn may_move(target: &Target) -> bool {
    !matches!(target, Target::Opaque(_))
}

fn in_order<'rules>(rules: &[&'rules Rule]) -> Vec<&'rules Rule> {
    let same = |one: &&Rule, next: &&Rule| one.target == next.target && may_move(&one.target);
    let mut ordered = Vec::with_capacity(rules.len());
    for stretch in rules.chunk_by(same) {
        let mut stretch: Vec<_> = stretch
            .iter()
            .map(|rule| (rule.sorted_matches(), *rule))
            .collect();
        stretch.sort_by(|(one, _), (other, _)| one.cmp(other));
        ordered.extend(stretch.into_iter().map(|(_, rule)| rule));
    }
    ordered
}
