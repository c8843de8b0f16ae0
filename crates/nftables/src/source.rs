//! A source address for connections from the node to some addresses: a table with one set and one rule.
//!
//! The rule applies to TCP connections of processes of the node's network namespace. Forwarded packets
//! have no socket there, and keep their source. It is called before the source NAT of other programs.

use std::net::IpAddr;

use mesh_cni_netfilter::ruleset::{BuiltinChain, Family};

use crate::answer::Content;
use crate::change::Change;
use crate::condition::octets;
use crate::dump::Dump;
use crate::expression::{Comparison, Expression, MetaKey, PayloadBase, Register, Verdict};
use crate::message::protocol_family;
use crate::object::{Chain, ChainId, ChainType, Element, Hook, Rule, Set, SetKind, Table};
use crate::uapi::netfilter::r#in::IPPROTO_TCP;
use crate::uapi::netfilter::ipv4::NF_IP_PRI_NAT_SRC;
use crate::uapi::netfilter::nf_nat::NF_NAT_RANGE_MAP_IPS;
use crate::uapi::nf_tables::{NFT_BYTEORDER_HTON, NFT_NAT_SNAT};

/// Before the chains of other programs, which masquerade at the usual priority.
const PRIORITY: i32 = NF_IP_PRI_NAT_SRC - 1;

/// The table, set and chain of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTable {
    /// Its name.
    pub table: Table,
    /// The set of destination addresses.
    pub set: String,
    /// The source address that connections to them get, of the same family as the table.
    pub source: IpAddr,
}

/// A destination address, and who added it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedAddress {
    /// The address.
    pub address: IpAddr,
    /// The comment of the element; it has at most 128 bytes.
    pub owner: String,
}

impl SourceTable {
    /// A table for the family of the source address.
    pub fn new(table: &str, set: &str, source: IpAddr) -> Self {
        let family = Family::of_address(source);
        Self {
            table: Table::new(family, table),
            set: set.to_owned(),
            source,
        }
    }

    /// The addresses in the set. Elements without a comment have an empty owner.
    fn addresses(&self, dump: &Dump) -> Vec<OwnedAddress> {
        let elements = self
            .found_set(dump)
            .into_iter()
            .flat_map(|set| &set.elements);
        elements.filter_map(owned_address).collect()
    }

    /// The addresses in an answer to [`Query::Elements`](crate::Query::Elements) for the set.
    pub fn addresses_in(&self, content: &Content) -> Vec<OwnedAddress> {
        match content {
            Content::Elements { elements, .. } => {
                elements.iter().filter_map(owned_address).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The changes that create the table, or replace it if its chain or rule differs. The addresses stay.
    pub fn ensure(&self, dump: &Dump) -> Vec<Change> {
        if self.is_complete(dump) {
            return Vec::new();
        }
        let exists = dump.tables.contains(&self.table);
        let mut changes = Vec::from_iter(exists.then(|| Change::DeleteTable(self.table.clone())));
        changes.extend([
            Change::AddTable(self.table.clone()),
            Change::AddChain {
                chain: self.chain(),
                exclusive: false,
            },
            Change::AddSet(Set {
                table: self.table.clone(),
                name: self.set.clone(),
                anonymous: false,
                id: 1,
                kind: self.kind(),
                interval: false,
                counting: false,
                elements: self.addresses(dump).iter().map(element).collect(),
            }),
            Change::AppendRule(self.rule()),
        ]);
        changes
    }

    /// The changes that add these addresses, or give them another owner. The set must exist.
    pub fn add(&self, found: &[OwnedAddress], wanted: &[OwnedAddress]) -> Vec<Change> {
        let mine = wanted
            .iter()
            .filter(|wanted| Family::of_address(wanted.address) == self.table.family);
        let missing: Vec<_> = mine.filter(|wanted| !found.contains(wanted)).collect();
        let replaced = found.iter().filter(|found| {
            missing
                .iter()
                .any(|missing| missing.address == found.address)
        });
        let mut changes = self.remove(replaced);
        changes.extend(self.elements(missing.into_iter()).map(|elements| {
            let (table, set) = (self.table.clone(), self.set.clone());
            Change::AddElements {
                table,
                set,
                elements,
            }
        }));
        changes
    }

    /// The changes that delete these addresses, which must be in the set.
    pub fn remove<'a>(&self, addresses: impl Iterator<Item = &'a OwnedAddress>) -> Vec<Change> {
        let deleted = self.elements(addresses).map(|elements| {
            let (table, set) = (self.table.clone(), self.set.clone());
            Change::DeleteElements {
                table,
                set,
                elements,
            }
        });
        deleted.collect()
    }

    /// The elements of one message, if there are any.
    fn elements<'a>(
        &self,
        addresses: impl Iterator<Item = &'a OwnedAddress>,
    ) -> impl Iterator<Item = Vec<Element>> {
        const PER_MESSAGE: usize = 200;
        let elements: Vec<_> = addresses
            .filter(|address| Family::of_address(address.address) == self.table.family)
            .map(element)
            .collect();
        let chunks: Vec<_> = elements.chunks(PER_MESSAGE).map(<[_]>::to_vec).collect();
        chunks.into_iter()
    }

    fn found_set<'dump>(&self, dump: &'dump Dump) -> Option<&'dump Set> {
        let mut sets = dump.sets.iter();
        sets.find(|set| set.table == self.table && set.name == self.set)
    }

    fn is_complete(&self, dump: &Dump) -> bool {
        let wanted = self.chain();
        let has_set = self
            .found_set(dump)
            .is_some_and(|set| !set.anonymous && !set.interval && set.kind == self.kind());
        let has_chain = dump.chains.iter().any(|chain| {
            chain.id == wanted.id
                && chain.hook == wanted.hook
                && chain.policy != Some(Verdict::Drop)
        });
        let rules: Vec<_> = dump.rules_of(&wanted.id).collect();
        has_set
            && has_chain
            && matches!(rules[..], [rule] if comparable(rule) == comparable(&self.rule()))
    }

    fn kind(&self) -> SetKind {
        match self.table.family {
            Family::V4 => SetKind::IPV4_ADDRESS,
            Family::V6 => SetKind::IPV6_ADDRESS,
        }
    }

    fn chain_id(&self) -> ChainId {
        self.table.chain("postrouting")
    }

    fn chain(&self) -> Chain {
        Chain {
            id: self.chain_id(),
            hook: Some(Hook {
                kind: ChainType::Nat,
                at: BuiltinChain::Postrouting,
                priority: PRIORITY,
            }),
            policy: None,
        }
    }

    fn rule(&self) -> Rule {
        let (register, family) = (Register::ONE, self.table.family);
        let compare = |comparison, data| Expression::Compare {
            register,
            comparison,
            data,
        };
        let (offset, length) = match family {
            Family::V4 => (16, 4),
            Family::V6 => (24, 16),
        };
        let expressions = vec![
            Expression::Meta {
                key: MetaKey::TransportProtocol,
                to: register,
            },
            compare(Comparison::Equal, vec![IPPROTO_TCP]),
            // Loading the user fails, and ends the rule, if no socket of this namespace sent the packet.
            Expression::Meta {
                key: MetaKey::SocketUid,
                to: register,
            },
            Expression::ByteOrder {
                from: register,
                to: register,
                direction: NFT_BYTEORDER_HTON,
                length: 4,
                size: 4,
            },
            compare(Comparison::GreaterOrEqual, vec![0; 4]),
            Expression::Payload {
                base: PayloadBase::Network,
                offset,
                length,
                to: register,
            },
            Expression::Lookup {
                key: register,
                set: self.set.clone(),
                set_id: 0,
                value: None,
                inverted: false,
            },
            Expression::Counter {
                packets: 0,
                bytes: 0,
            },
            Expression::Immediate {
                to: register,
                data: octets(self.source),
            },
            Expression::Nat {
                kind: NFT_NAT_SNAT,
                family: protocol_family(family).into(),
                address: register,
                flags: NF_NAT_RANGE_MAP_IPS,
            },
        ];
        Rule {
            chain: self.chain_id(),
            handle: 0,
            expressions,
            comment: None,
        }
    }
}

/// What does not change by itself, and what the kernel returns as it was written.
fn comparable(rule: &Rule) -> Vec<Expression> {
    let mut expressions = rule.expressions.clone();
    for expression in &mut expressions {
        match expression {
            Expression::Counter { packets, bytes } => (*packets, *bytes) = (0, 0),
            Expression::Nat { flags, .. } => *flags = 0,
            _ => {}
        }
    }
    expressions
}

fn owned_address(element: &Element) -> Option<OwnedAddress> {
    let key = element.key.as_slice();
    let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(key).ok()?));
    let v6 = || Some(IpAddr::from(<[u8; 16]>::try_from(key).ok()?));
    Some(OwnedAddress {
        address: v4().or_else(v6)?,
        owner: element.comment.clone().unwrap_or_default(),
    })
}

fn element(address: &OwnedAddress) -> Element {
    Element {
        key: octets(address.address),
        interval_end: false,
        counter: None,
        place: None,
        comment: Some(address.owner.clone()).filter(|owner| !owner.is_empty()),
    }
}
