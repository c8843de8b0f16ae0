//! Dumps: asking for what stands, and gathering the answers.

use mesh_cni_netfilter::ruleset::Family;

use crate::answer::Content;
use crate::attributes::Writer;
use crate::message::{COMPAT_GET, Head, Kind, flag, protocol_family, write};
use crate::object::{Chain, ChainId, Element, Rule, Set, Table};

/// A question to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// The generation of all rules.
    Generation,
    /// Every table.
    Tables,
    /// Every chain.
    Chains,
    /// Every rule.
    Rules,
    /// Every set, without elements.
    Sets,
    /// The elements of a set.
    Elements(Table, String),
    /// Whether `nft_compat` has a match of `x_tables`.
    Match {
        /// Its name.
        name: String,
        /// Which of its structures.
        revision: u32,
    },
    /// Whether `nft_compat` has a target of `x_tables`.
    Target {
        /// Its name.
        name: String,
        /// Which of its structures.
        revision: u32,
    },
}

/// What stands, as far as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// The tables.
    pub tables: Vec<Table>,
    /// The chains.
    pub chains: Vec<Chain>,
    /// The rules, those of a chain in their order.
    pub rules: Vec<Rule>,
    /// The sets with their elements.
    pub sets: Vec<Set>,
}

impl Query {
    /// The bytes of the question.
    pub fn encode(&self, sequence: u32) -> Vec<u8> {
        // Family 0 asks for every one; answers of those that are not ours are passed over.
        let (kind, family) = match self {
            Self::Generation => (Kind::GetGeneration.number(), 0),
            Self::Tables => (Kind::GetTable.number(), 0),
            Self::Chains => (Kind::GetChain.number(), 0),
            Self::Rules => (Kind::GetRule.number(), 0),
            Self::Sets => (Kind::GetSet.number(), 0),
            Self::Elements(table, _) => {
                (Kind::GetSetElement.number(), protocol_family(table.family))
            }
            Self::Match { .. } | Self::Target { .. } => (COMPAT_GET, protocol_family(Family::V4)),
        };
        let mut attributes = Writer::default();
        match self {
            Self::Elements(table, set) => {
                attributes.text(1, &table.name).text(2, set);
            }
            Self::Match { name, revision } => {
                attributes.text(1, name).u32(2, *revision).u32(3, 0);
            }
            Self::Target { name, revision } => {
                attributes.text(1, name).u32(2, *revision).u32(3, 1);
            }
            _ => {}
        }
        let head = Head {
            kind,
            flags: if self.is_dump() { flag::DUMP } else { 0 },
            sequence,
            family,
            resource: 0,
        };
        let mut bytes = Vec::new();
        write(&mut bytes, head, &attributes.into_bytes());
        bytes
    }

    /// Whether answers come until the kernel says that there are no more; else there is one.
    pub fn is_dump(&self) -> bool {
        !matches!(
            self,
            Self::Generation | Self::Match { .. } | Self::Target { .. }
        )
    }
}

impl Dump {
    /// Takes what an answer brings.
    pub fn take(&mut self, content: Content) {
        match content {
            Content::Table(table) => self.tables.push(table),
            Content::Chain(chain) => self.chains.push(chain),
            Content::Rule(rule) => self.rules.push(rule),
            Content::Set(set) => self.sets.push(set),
            Content::Elements {
                table,
                set,
                elements,
            } => self.fill(&table, &set, elements),
            _ => {}
        }
    }

    /// The set of that name.
    pub fn set(&self, table: &Table, name: &str) -> Option<&Set> {
        let mut sets = self.sets.iter();
        sets.find(|set| set.table == *table && set.name == name)
    }

    /// The rules of a chain, in their order.
    pub fn rules_of(&self, chain: &ChainId) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.chain == *chain)
    }

    fn fill(&mut self, table: &Table, name: &str, elements: Vec<Element>) {
        let mut sets = self.sets.iter_mut();
        if let Some(set) = sets.find(|set| set.table == *table && set.name == name) {
            set.elements.extend(elements);
        }
    }
}
