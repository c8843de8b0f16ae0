//! Expressions back to what a rule means by them, whoever wrote them.

mod elements;
mod field;
mod reader;

use mesh_cni_netfilter::render::rule_spec;
use mesh_cni_netfilter::ruleset::{Counters, Family, Match, Rule, Target};

use crate::expression::{Expression, Verdict};
use crate::object::{self, Set};
use field::verdict_target;
use reader::Reader;

/// A rule, and its place among the neighbours with which it was folded into one.
pub(crate) struct Placed {
    pub(crate) rule: Rule,
    pub(crate) place: Option<u16>,
}

/// The rule that some expressions are. What is not known stays in `nft`'s words.
pub(crate) fn rule(expressions: &[Expression], family: Family) -> Rule {
    let mut rules = rules(expressions, family, &[]);
    // Without sets nothing unfolds.
    let only = rules.pop().map(|placed| placed.rule);
    only.unwrap_or_else(|| opaque(expressions))
}

/// The rules that some expressions are: one for each element where they look into a set that
/// counts, else one.
pub(crate) fn rules(expressions: &[Expression], family: Family, sets: &[Set]) -> Vec<Placed> {
    let mut reader = Reader::new(family, sets);
    let understood = expressions
        .iter()
        .try_for_each(|expression| reader.take(expression));
    let read = understood.and_then(|()| reader.finish());
    let mut rules = read.unwrap_or_else(|| {
        let rule = opaque(expressions);
        vec![Placed { rule, place: None }]
    });
    if let (Some(counters), [only]) = (counted(expressions), rules.as_mut_slice()) {
        only.rule.counters = counters;
    }
    rules
}

/// A rule as one line of iptables' words.
pub(crate) fn words(rule: &object::Rule) -> String {
    rule_spec(&self::rule(&rule.expressions, rule.chain.table.family))
}

fn counted(expressions: &[Expression]) -> Option<Counters> {
    expressions.iter().find_map(|expression| match expression {
        Expression::Counter { packets, bytes } => Some(Counters {
            packets: *packets,
            bytes: *bytes,
        }),
        _ => None,
    })
}

/// A rule of which a part is not known: its target is told all the same, since it may be a jump to
/// one of our chains.
fn opaque(expressions: &[Expression]) -> Rule {
    let known = |expression: &&Expression| {
        matches!(
            expression,
            Expression::Counter { .. } | Expression::Verdict(_)
        )
    };
    let words: Vec<_> = expressions
        .iter()
        .filter(|expression| !known(expression))
        .map(ToString::to_string)
        .collect();
    let target = expressions.iter().find_map(|expression| match expression {
        Expression::Verdict(verdict) => verdict_target(verdict),
        _ => None,
    });
    let target = target.unwrap_or_else(|| Target::Opaque(String::new()));
    Rule::new(vec![Match::Opaque(words.join(" "))], target)
}

/// Whether a rule only makes sure that what a rule before it meant to hand over goes nowhere else.
pub(crate) fn is_plain_drop(expressions: &[Expression]) -> bool {
    let ends = matches!(expressions.last(), Some(Expression::Verdict(Verdict::Drop)));
    ends && counted(expressions).is_none()
}
