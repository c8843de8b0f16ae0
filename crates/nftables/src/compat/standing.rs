//! What of iptables' tables stands, with the kernel's numbers of the rules.

use std::collections::BTreeMap;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::{
    Chain, ChainName, Counters, Family, Policy, PolicyVerdict, TableName,
};

use super::layout;
use crate::dump::Dump;
use crate::expression::Verdict;
use crate::interpret;
use crate::object;

/// The rules of iptables' tables, and the kernel's number of each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The rules.
    pub rules: RuleSet,
    handles: BTreeMap<(TableName, ChainName), Vec<u64>>,
}

/// Reads iptables' tables out of a dump. Tables that iptables would not know are passed over.
pub fn read(dump: &Dump, family: Family) -> Standing {
    let mut standing = Standing {
        rules: RuleSet::new(family),
        handles: BTreeMap::new(),
    };
    for name in TableName::ALL {
        let table = layout::table(family, name);
        let chains = dump.chains.iter().filter(|chain| chain.id.table == table);
        for chain in chains {
            standing.take(name, chain, dump);
        }
    }
    standing
}

impl Standing {
    /// The kernel's number of a rule, by its place in the chain from 0.
    pub(super) fn handle(&self, table: TableName, chain: &ChainName, place: usize) -> Option<u64> {
        let handles = self.handles.get(&(table, chain.clone()))?;
        handles.get(place).copied()
    }

    fn take(&mut self, table: TableName, chain: &object::Chain, dump: &Dump) {
        // A name that iptables could not have given is not iptables'.
        let Ok(name) = ChainName::new(&chain.id.name) else {
            return;
        };
        let family = self.rules.family;
        let rules = dump.rules_of(&chain.id);
        let (handles, rules): (Vec<_>, Vec<_>) = rules
            .map(|rule| (rule.handle, interpret::rule(&rule.expressions, family)))
            .unzip();
        let mut read = Chain::new(name.clone());
        read.policy = chain.hook.map(|_| policy(chain.policy.as_ref()));
        read.rules = rules;
        self.rules.table_mut(table).chains.push(read);
        self.handles.insert((table, name), handles);
    }
}

/// `nf_tables` counts nothing at the end of a chain.
fn policy(verdict: Option<&Verdict>) -> Policy {
    let verdict = match verdict {
        Some(Verdict::Drop) => PolicyVerdict::Drop,
        _ => PolicyVerdict::Accept,
    };
    Policy {
        verdict,
        counters: Counters::ZERO,
    }
}
