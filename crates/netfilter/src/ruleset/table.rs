//! A netfilter table and its chains.

use std::fmt;

use super::{BuiltinChain, Chain, ChainName, Target};

/// The netfilter tables that this crate knows, in alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableName {
    /// `filter`: accepts or drops packets.
    Filter,
    /// `mangle`: marks and transparent proxying.
    Mangle,
    /// `nat`: address translation of a connection's first packet.
    Nat,
    /// `raw`: before connection tracking.
    Raw,
}

/// One table, with its chains in the order of their first use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// The name.
    pub name: TableName,
    /// The chains. Built-in chains without rules may be missing.
    pub chains: Vec<Chain>,
}

impl TableName {
    /// Every table, in alphabetical order.
    pub const ALL: [Self; 4] = [Self::Filter, Self::Mangle, Self::Nat, Self::Raw];

    /// The name as `iptables -t` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Raw => "raw",
        }
    }

    /// The table of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == name)
    }

    /// The built-in chains of this table, in the order in which `iptables -L` lists them.
    pub fn builtin_chains(self) -> &'static [BuiltinChain] {
        use BuiltinChain::{Forward, Input, Output, Postrouting, Prerouting};
        match self {
            Self::Filter => &[Input, Forward, Output],
            Self::Mangle => &[Prerouting, Input, Forward, Output, Postrouting],
            Self::Nat => &[Prerouting, Input, Postrouting, Output],
            Self::Raw => &[Prerouting, Output],
        }
    }

    /// The built-in chain of this table with that name.
    ///
    /// Other programs can create chains with the names of other tables' built-in chains, such as
    /// `PREROUTING` in `filter`. The kernel calls these at no hook.
    pub fn builtin(self, name: &ChainName) -> Option<BuiltinChain> {
        let mut chains = self.builtin_chains().iter().copied();
        chains.find(|chain| chain.as_str() == name.as_str())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Table {
    /// A table without chains.
    pub fn new(name: TableName) -> Self {
        Self {
            name,
            chains: Vec::new(),
        }
    }

    /// The chain of that name.
    pub fn chain(&self, name: &ChainName) -> Option<&Chain> {
        self.chains.iter().find(|chain| &chain.name == name)
    }

    /// The chain of that name, which is added if it is missing.
    pub fn chain_mut(&mut self, name: ChainName) -> &mut Chain {
        let known = self.chains.iter().position(|chain| chain.name == name);
        let index = known.unwrap_or_else(|| {
            self.chains.push(Chain::new(self.name, name));
            self.chains.len() - 1
        });
        &mut self.chains[index]
    }

    /// The chains that programs created.
    pub fn user_chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains
            .iter()
            .filter(|chain| self.name.builtin(&chain.name).is_none())
    }

    /// The number of rules that jump to that chain: its references in `iptables -L`.
    pub fn references(&self, name: &ChainName) -> usize {
        let rules = self.chains.iter().flat_map(|chain| &chain.rules);
        let jumps = rules.filter(|rule| matches!(&rule.target, Target::Jump(to) if to == name));
        jumps.count()
    }
}
