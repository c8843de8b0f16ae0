//! A rule as the expressions that `iptables-nft` writes for it.

use mesh_cni_netfilter::ruleset::{Family, Match, Rule, Target};

use crate::Unwritable;
use crate::condition;
use crate::expression::{Expression, Verdict};
use crate::extension;

/// The expressions of a rule in iptables' order: conditions, a counter, the target.
pub(super) fn expressions(rule: &Rule, family: Family) -> Result<Vec<Expression>, Unwritable> {
    let unwritable = || Unwritable::new(rule);
    // Most rules have fewer.
    let mut to = Vec::with_capacity(8);
    for condition in condition::in_order(&rule.matches) {
        write_match(condition, family, &mut to).ok_or_else(unwritable)?;
    }
    to.push(Expression::Counter {
        packets: 0,
        bytes: 0,
    });
    write_target(&rule.target, family, &mut to).ok_or_else(unwritable)?;
    Ok(to)
}

fn write_match(condition: &Match, family: Family, to: &mut Vec<Expression>) -> Option<()> {
    match extension::of_match(condition) {
        Some(extension) => to.push(Expression::Match(extension)),
        None => condition::write(condition, family, to)?,
    }
    Some(())
}

fn write_target(target: &Target, family: Family, to: &mut Vec<Expression>) -> Option<()> {
    if let Some(verdict) = Verdict::of_target(target) {
        to.push(Expression::Verdict(verdict));
    } else if *target != Target::Opaque(String::new()) {
        to.push(Expression::Target(extension::of_target(target, family)?));
    }
    Some(())
}
