//! The typed rule model: family, table, chain, rule.

mod chain;
mod chain_name;
mod family;
mod packet_match;
mod policy_routing;
mod rule;
mod table;
mod target;

pub use chain::{Chain, Policy, PolicyVerdict};
pub use chain_name::{BuiltinChain, ChainName, InvalidChainName};
pub use family::Family;
pub use packet_match::{ConntrackState, Mark, Match, Protocol, Sense};
pub use policy_routing::PolicyRouting;
pub use rule::{Counters, Rule};
pub use table::{Table, TableName};
pub use target::{RejectWith, Target};

/// The rules of one address family.
///
/// Chains are in the order of their first use, rules in the order of evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleSet {
    /// The address family.
    pub family: Family,
    /// The tables that are not empty, sorted by name.
    pub tables: Vec<Table>,
    /// The policy routing that the rules depend on.
    pub routing: Option<PolicyRouting>,
}

impl RuleSet {
    /// A rule set without tables.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            tables: Vec::new(),
            routing: None,
        }
    }

    /// The table of that name, if it is not empty.
    pub fn table(&self, name: TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The table of that name, which is added if it is missing.
    pub fn table_mut(&mut self, name: TableName) -> &mut Table {
        let found = self.tables.binary_search_by_key(&name, |table| table.name);
        let index = found.unwrap_or_else(|index| {
            self.tables.insert(index, Table::new(name));
            index
        });
        &mut self.tables[index]
    }

    /// The chain of that name in that table.
    pub fn chain(&self, table: TableName, chain: &ChainName) -> Option<&Chain> {
        self.table(table)?.chain(chain)
    }

    /// Appends a rule, and adds its table and chain if they are missing.
    pub fn append(&mut self, table: TableName, chain: ChainName, rule: Rule) {
        self.table_mut(table).chain_mut(chain).rules.push(rule);
    }

    /// Inserts a rule with that number (from 1, as in `iptables -I`) into its chain.
    ///
    /// A number past the end appends the rule.
    pub fn insert(&mut self, table: TableName, chain: ChainName, number: usize, rule: Rule) {
        let rules = &mut self.table_mut(table).chain_mut(chain).rules;
        let index = number.saturating_sub(1).min(rules.len());
        rules.insert(index, rule);
    }

    /// The same rules without comments, to compare with rules whose writer has other ones.
    #[must_use]
    pub fn without_comments(mut self) -> Self {
        let chains = self.tables.iter_mut().flat_map(|table| &mut table.chains);
        for rule in chains.flat_map(|chain| &mut chain.rules) {
            rule.remove_comments();
        }
        self
    }

    /// The number of rules in all chains.
    pub fn rule_count(&self) -> usize {
        let chains = self.tables.iter().flat_map(|table| &table.chains);
        chains.map(|chain| chain.rules.len()).sum()
    }
}
