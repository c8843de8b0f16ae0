//! Expressions as rules of the rule model, whichever program wrote them.

mod elements;
mod reader;

use mesh_cni_netfilter::render::rule_spec;
use mesh_cni_netfilter::ruleset::{Counters, Match, Rule, Target};

use crate::expression::{Expression, Verdict};
use crate::object::{self, Set};

pub(crate) use reader::PlacedRule;
use reader::Reader;

/// The rule of some expressions. Unknown ones are kept in the format of `nft --debug=netlink`.
pub(crate) fn rule(rule: &object::Rule) -> Rule {
    rules(rule, &[])
        .pop()
        .map_or_else(|| opaque(&rule.expressions), |placed| placed.rule)
}

/// The rules of some expressions: one for each element if they look into a set that counts,
/// otherwise one.
pub(crate) fn rules(rule: &object::Rule, sets: &[Set]) -> Vec<PlacedRule> {
    let expressions = &rule.expressions;
    let mut reader = Reader::new(rule.chain.table.family, sets);
    let mut rules = expressions
        .iter()
        .try_for_each(|expression| reader.read(expression))
        .and_then(|()| reader.finish())
        .unwrap_or_else(|| {
            let rule = opaque(expressions);
            vec![PlacedRule { rule, place: None }]
        });
    if let Some(comment) = &rule.comment {
        for placed in &mut rules {
            placed.rule.matches.push(Match::Comment(comment.clone()));
        }
    }
    if let (Some(counters), [only]) = (counted(expressions), rules.as_mut_slice()) {
        only.rule.counters = counters;
    }
    rules
}

/// A rule in the format of iptables.
pub(crate) fn spec(rule: &object::Rule) -> String {
    rule_spec(&self::rule(rule))
}

/// Whether a rule discards packets without counting them, as the rule after TPROXY does.
pub(crate) fn is_uncounted_drop(rule: &object::Rule) -> bool {
    rule.expressions.last() == Some(&Expression::Verdict(Verdict::Drop))
        && counted(&rule.expressions).is_none()
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

/// A rule with expressions that are not known. Its verdict is read nevertheless: it may be a jump
/// to one of our chains.
fn opaque(expressions: &[Expression]) -> Rule {
    let unknown: Vec<_> = expressions
        .iter()
        .filter(|expression| {
            !matches!(
                expression,
                Expression::Counter { .. } | Expression::Verdict(_)
            )
        })
        .map(ToString::to_string)
        .collect();
    let target = expressions.iter().find_map(|expression| match expression {
        Expression::Verdict(verdict) => verdict.to_target(),
        _ => None,
    });
    let target = target.unwrap_or_else(|| Target::Opaque(String::new()));
    Rule::new(vec![Match::Opaque(unknown.join(" "))], target)
}
