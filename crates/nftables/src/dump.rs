//! Queries for what exists in `nf_tables`, and the objects collected from their answers.

use std::collections::HashSet;
use std::hash::Hash;

use mesh_cni_netfilter::ruleset::Family;

use crate::answer::Content;
use crate::attributes::Writer;
use crate::message::{COMPAT_GET, Head, nf_tables, protocol_family, write};
use crate::object::{Chain, ChainId, Element, Rule, Set, Table};
use crate::uapi::netfilter::NFPROTO_UNSPEC;
use crate::uapi::netlink::NLM_F_DUMP;
use crate::uapi::nf_tables::{
    NFT_MSG_GETCHAIN, NFT_MSG_GETGEN, NFT_MSG_GETRULE, NFT_MSG_GETSET, NFT_MSG_GETSETELEM,
    NFT_MSG_GETTABLE, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_TABLE,
};
use crate::uapi::nf_tables_compat::{NFTA_COMPAT_NAME, NFTA_COMPAT_REV, NFTA_COMPAT_TYPE};

/// A query to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// The generation of all rules.
    Generation,
    /// All tables.
    Tables,
    /// All chains.
    Chains,
    /// All rules.
    Rules,
    /// All sets, without their elements.
    Sets,
    /// The elements of a set.
    Elements(Table, String),
    /// Whether `nft_compat` has a match of `x_tables`.
    Match {
        /// Its name.
        name: String,
        /// Its revision.
        revision: u32,
    },
    /// Whether `nft_compat` has a target of `x_tables`.
    Target {
        /// Its name.
        name: String,
        /// Its revision.
        revision: u32,
    },
}

/// What exists in `nf_tables`, as far as it was queried.
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
    /// The bytes of the query.
    pub fn encode(&self, sequence: u32) -> Vec<u8> {
        let mut attributes = Writer::default();
        // NFPROTO_UNSPEC selects every family; answers of families other than IP are skipped.
        let (kind, family) = match self {
            Self::Generation => (nf_tables(NFT_MSG_GETGEN), NFPROTO_UNSPEC),
            Self::Tables => (nf_tables(NFT_MSG_GETTABLE), NFPROTO_UNSPEC),
            Self::Chains => (nf_tables(NFT_MSG_GETCHAIN), NFPROTO_UNSPEC),
            Self::Rules => (nf_tables(NFT_MSG_GETRULE), NFPROTO_UNSPEC),
            Self::Sets => (nf_tables(NFT_MSG_GETSET), NFPROTO_UNSPEC),
            Self::Elements(table, set) => {
                attributes.text(NFTA_SET_ELEM_LIST_TABLE, &table.name);
                attributes.text(NFTA_SET_ELEM_LIST_SET, set);
                (nf_tables(NFT_MSG_GETSETELEM), protocol_family(table.family))
            }
            Self::Match { name, revision } | Self::Target { name, revision } => {
                // The header has no names for the types: 0 is a match, 1 is a target.
                let extension_type = u32::from(matches!(self, Self::Target { .. }));
                attributes.text(NFTA_COMPAT_NAME, name);
                attributes.u32(NFTA_COMPAT_REV, *revision);
                attributes.u32(NFTA_COMPAT_TYPE, extension_type);
                (COMPAT_GET, protocol_family(Family::V4))
            }
        };
        let head = Head {
            kind,
            flags: if self.is_dump() { NLM_F_DUMP } else { 0 },
            sequence,
            family,
            resource: 0,
        };
        let mut bytes = Vec::new();
        write(&mut bytes, head, attributes);
        bytes
    }

    /// Whether the kernel sends any number of answers and then [`Content::Done`]; otherwise one.
    pub fn is_dump(&self) -> bool {
        !matches!(
            self,
            Self::Generation | Self::Match { .. } | Self::Target { .. }
        )
    }
}

impl Dump {
    /// Adds the object of an answer.
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
            } => self.add_elements(&table, &set, elements),
            _ => {}
        }
    }

    /// Whether an object is contained twice.
    ///
    /// While a commit ends, the kernel lists the objects that it removes beside those that replace
    /// them, and does not report that the dump was interrupted: the dump must be repeated.
    pub fn has_repeated_objects(&self) -> bool {
        let elements = |set: &Set| {
            let keys = set.elements.iter();
            is_repeated(keys.map(|element| (&element.key, element.interval_end)))
        };
        is_repeated(&self.tables)
            || is_repeated(self.chains.iter().map(|chain| &chain.id))
            || is_repeated(
                self.rules
                    .iter()
                    .map(|rule| (&rule.chain.table, rule.handle)),
            )
            || is_repeated(self.sets.iter().map(|set| (&set.table, &set.name)))
            || self.sets.iter().any(elements)
    }

    /// The rules of a chain, in their order.
    pub fn rules_of(&self, chain: &ChainId) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.chain == *chain)
    }

    fn add_elements(&mut self, table: &Table, name: &str, elements: Vec<Element>) {
        let found = self
            .sets
            .iter_mut()
            .find(|set| set.table == *table && set.name == name);
        if let Some(set) = found {
            set.elements.extend(elements);
        }
    }
}

fn is_repeated<T: Eq + Hash>(objects: impl IntoIterator<Item = T>) -> bool {
    let mut known = HashSet::new();
    !objects.into_iter().all(|object| known.insert(object))
}
