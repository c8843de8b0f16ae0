//! Rule sets — the typed model of what stands in a network namespace: family, table, chain, rule.

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
pub use target::Target;

/// Every table of one family, in alphabetical order of the table names.
///
/// The order of chains is the order in which they first came into use; the
/// order of rules in a chain is the order in which a packet meets them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleSet {
    /// The family whose packets these rules see.
    pub family: Family,
    /// The tables that hold something, sorted by name.
    pub tables: Vec<Table>,
    /// The policy routing that the rules count on.
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

    /// The table of that name, if it holds something.
    pub fn table(&self, name: TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The table of that name, made at its place in the order where it is missing.
    pub fn table_mut(&mut self, name: TableName) -> &mut Table {
        let at = match self.tables.binary_search_by_key(&name, |table| table.name) {
            Ok(at) => at,
            Err(at) => {
                self.tables.insert(at, Table::new(name));
                at
            }
        };
        &mut self.tables[at]
    }

    /// The chain of that name in that table.
    pub fn chain(&self, table: TableName, chain: &ChainName) -> Option<&Chain> {
        self.table(table)?.chain(chain)
    }

    /// Appends a rule, making table and chain where they are missing.
    pub fn append(&mut self, table: TableName, chain: ChainName, rule: Rule) {
        self.table_mut(table).chain_mut(chain).rules.push(rule);
    }

    /// Inserts a rule as number `number` (1-based, as `iptables -I` counts) of its chain.
    ///
    /// A number past the end appends.
    pub fn insert(&mut self, table: TableName, chain: ChainName, number: usize, rule: Rule) {
        let rules = &mut self.table_mut(table).chain_mut(chain).rules;
        let at = number.saturating_sub(1).min(rules.len());
        rules.insert(at, rule);
    }

    /// How many rules there are in all chains.
    pub fn rule_count(&self) -> usize {
        let chains = self.tables.iter().flat_map(|table| &table.chains);
        chains.map(|chain| chain.rules.len()).sum()
    }
}
