//! Counters: which rules and policies count a packet, and a rule set's counters afterwards.

use super::step::{Event, RuleResult, Walk};
use crate::ruleset::{ChainName, Counters, Policy, RuleSet, TableName};

/// Whether the kernel counts packets that reach a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyCounters {
    /// Yes: `iptables-legacy`, and `nf_tables` chains that were declared with counters.
    On,
    /// No: `nf_tables` chains that `iptables-nft` created with their first rule.
    Off,
}

/// A rule or policy that counts a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// The table.
    pub table: TableName,
    /// The chain.
    pub chain: ChainName,
    /// The number of the rule, from 1; `None` for the chain's policy.
    pub rule: Option<usize>,
}

impl Walk {
    /// All rules and policies that count the packet, in order.
    ///
    /// A rule counts when all of its conditions hold, whatever its target.
    pub fn counted(&self) -> Vec<Counted> {
        let counted = self.steps.iter().filter_map(|step| {
            let rule = match &step.event {
                Event::Rule { number, result, .. } if counts(result) => Some(*number),
                Event::Policy(_) => None,
                Event::Rule { .. } | Event::NatSkipped(_) => return None,
            };
            Some(Counted {
                table: step.table,
                chain: step.chain.clone(),
                rule,
            })
        });
        counted.collect()
    }

    /// Adds `packets` packets like this one to the counters of the rules.
    pub fn count(&self, rules: &mut RuleSet, packets: u64, policies: PolicyCounters) {
        for counted in self.counted() {
            if let Some(counters) = counters(rules, counted, policies) {
                let bytes = packets.saturating_mul(self.packet.bytes);
                counters.packets = counters.packets.saturating_add(packets);
                counters.bytes = counters.bytes.saturating_add(bytes);
            }
        }
    }
}

fn counts(result: &RuleResult) -> bool {
    match result {
        RuleResult::Matched(_) => true,
        RuleResult::NotMatched(_) => false,
        RuleResult::Undecided(reason) => reason.counts(),
    }
}

fn counters(
    rules: &mut RuleSet,
    counted: Counted,
    policies: PolicyCounters,
) -> Option<&mut Counters> {
    if (counted.rule, policies) == (None, PolicyCounters::Off) {
        return None;
    }
    let chain = rules.table_mut(counted.table).chain_mut(counted.chain);
    match counted.rule {
        Some(number) => Some(&mut chain.rules.get_mut(number - 1)?.counters),
        None => Some(&mut chain.policy.get_or_insert(Policy::ACCEPT).counters),
    }
}
