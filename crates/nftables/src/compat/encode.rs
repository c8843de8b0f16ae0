//! A rule as the expressions that `iptables-nft` writes for it.

use mesh_cni_netfilter::ruleset::{Family, Match, Rule, Target};

use super::extension;
use crate::Unwritable;
use crate::condition;
use crate::expression::{Expression, Verdict};

/// The expressions of a rule, in iptables' order: interfaces, protocol, addresses, then the other
/// matches as they were written, a counter, and the target.
pub(super) fn expressions(rule: &Rule, family: Family) -> Result<Vec<Expression>, Unwritable> {
    let unwritable = || Unwritable::new(rule);
    let mut to = Vec::new();
    let conditions: Vec<_> = rule.matches.iter().collect();
    for condition in condition::in_order(&conditions) {
        write_match(condition, &mut to).ok_or_else(unwritable)?;
    }
    to.push(Expression::Counter {
        packets: 0,
        bytes: 0,
    });
    write_target(&rule.target, family, &mut to).ok_or_else(unwritable)?;
    Ok(to)
}

fn write_match(condition: &Match, to: &mut Vec<Expression>) -> Option<()> {
    if condition::write(condition, to).is_none() {
        to.push(Expression::Match(extension::of_match(condition)?));
    }
    Some(())
}

fn write_target(target: &Target, family: Family, to: &mut Vec<Expression>) -> Option<()> {
    to.push(match target {
        Target::Return => Expression::Verdict(Verdict::Return),
        Target::Accept => Expression::Verdict(Verdict::Accept),
        Target::Drop => Expression::Verdict(Verdict::Drop),
        Target::Jump(chain) => Expression::Verdict(Verdict::Jump(chain.as_str().to_owned())),
        // A rule that only counts.
        Target::Opaque(words) if words.is_empty() => return Some(()),
        other => Expression::Target(extension::of_target(other, family)?),
    });
    Some(())
}
