//! Counting: which rules and policies count a packet, and a rule set's counters after it.

use super::step::{Event, Outcome, Walk};
use crate::ruleset::{ChainName, Counters, Policy, RuleSet, TableName};

/// Whether the kernel counts what reaches a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyCounters {
    /// It does: `iptables-legacy`, and `nf_tables` chains that were declared with counters.
    On,
    /// It does not: `nf_tables` chains that came with their first rule, as those of interception
    /// do. The documented dump, all of whose policies are at zero, was made there.
    Off,
}

/// One thing that counts a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// In which table.
    pub table: TableName,
    /// In which chain.
    pub chain: ChainName,
    /// Which rule, from 1; none for the chain's policy.
    pub rule: Option<usize>,
}

impl Walk {
    /// Everything that counts the packet, in the order in which it met it.
    ///
    /// A rule counts when all of its conditions hold, whatever its target.
    pub fn counted(&self) -> Vec<Counted> {
        let steps = self.steps.iter();
        let counted = steps.filter_map(|step| {
            let rule = match &step.event {
                Event::Rule {
                    number, outcome, ..
                } => counts(outcome).then_some(Some(*number)),
                Event::Policy(_) => Some(None),
                Event::NatSkipped(_) => None,
            };
            Some(Counted {
                table: step.table,
                chain: step.chain.clone(),
                rule: rule?,
            })
        });
        counted.collect()
    }

    /// Adds `packets` packets like this one to the counters of the rules that it walked through.
    pub fn count(&self, rules: &mut RuleSet, packets: u64, policies: PolicyCounters) {
        for counted in self.counted() {
            if let Some(counters) = counters(rules, &counted, policies) {
                let bytes = packets.saturating_mul(self.packet.bytes);
                counters.packets = counters.packets.saturating_add(packets);
                counters.bytes = counters.bytes.saturating_add(bytes);
            }
        }
    }
}

fn counts(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Met(_) => true,
        Outcome::Missed(_) => false,
        Outcome::Unjudged(why) => why.counts(),
    }
}

fn counters<'rules>(
    rules: &'rules mut RuleSet,
    counted: &Counted,
    policies: PolicyCounters,
) -> Option<&'rules mut Counters> {
    let table = rules.table_mut(counted.table);
    match (counted.rule, policies) {
        (Some(number), _) => {
            let chain = table.chain_mut(counted.chain.clone());
            let rule = chain.rules.get_mut(number - 1)?;
            Some(&mut rule.counters)
        }
        (None, PolicyCounters::On) => {
            let chain = table.chain_mut(counted.chain.clone());
            Some(&mut chain.policy.get_or_insert(Policy::ACCEPT).counters)
        }
        (None, PolicyCounters::Off) => None,
    }
}
