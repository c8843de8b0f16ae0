//! The rules in iptables' tables, with the kernel's handle of each.

use std::collections::BTreeMap;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::{
    Chain, ChainName, Counters, Family, Policy, PolicyVerdict, TableName,
};

use crate::dump::Dump;
use crate::expression::Verdict;
use crate::interpret;
use crate::object::{self, Table};

/// The rules in iptables' tables, with the kernel's handle of each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledRules {
    /// The rules.
    pub rules: RuleSet,
    handles: BTreeMap<(TableName, ChainName), Vec<u64>>,
}

/// Reads iptables' tables of a family from a dump; other tables are skipped.
pub fn read(dump: &Dump, family: Family) -> InstalledRules {
    let mut installed = InstalledRules {
        rules: RuleSet::new(family),
        handles: BTreeMap::new(),
    };
    for name in TableName::ALL {
        let table = Table::of_iptables(family, name);
        for chain in dump.chains.iter().filter(|chain| chain.id.table == table) {
            installed.read_chain(name, chain, dump);
        }
    }
    installed
}

impl InstalledRules {
    /// The kernel's handle of a rule, by its position in the chain from 0.
    pub(super) fn handle(&self, table: TableName, chain: &ChainName, place: usize) -> Option<u64> {
        let handles = self.handles.get(&(table, chain.clone()))?;
        handles.get(place).copied()
    }

    fn read_chain(&mut self, table: TableName, chain: &object::Chain, dump: &Dump) {
        // iptables does not create chains with names that it cannot parse.
        let Ok(name) = ChainName::new(&chain.id.name) else {
            return;
        };
        let mut read = Chain::new(table, name.clone());
        read.policy = chain
            .is_builtin(table)
            .then(|| policy(chain.policy.as_ref()));
        let handles;
        (handles, read.rules) = dump
            .rules_of(&chain.id)
            .map(|rule| (rule.handle, interpret::rule(rule)))
            .unzip();
        self.rules.table_mut(table).chains.push(read);
        self.handles.insert((table, name), handles);
    }
}

/// `nf_tables` has no counters for policies.
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
