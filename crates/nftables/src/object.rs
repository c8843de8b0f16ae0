//! What stands in `nf_tables`: tables, chains, rules and sets.

mod decode;
mod display;
mod encode;

use std::fmt;

use mesh_cni_netfilter::ruleset::{BuiltinChain, Family};

use crate::expression::{Expression, Verdict};

pub(crate) use decode::{decode_chain, decode_elements, decode_rule, decode_set, decode_table};

/// A table, by its family and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    /// The family whose packets it sees.
    pub family: Family,
    /// Its name.
    pub name: String,
}

/// A chain, by its table and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId {
    /// Its table.
    pub table: Table,
    /// Its name.
    pub name: String,
}

/// A chain, and the hook at which the kernel calls it, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Table and name.
    pub id: ChainId,
    /// Where the kernel calls it; `None` for one that only rules jump to.
    pub hook: Option<Hook>,
    /// What becomes of a packet at its end: only chains with a hook have that.
    pub policy: Option<Verdict>,
}

/// Where the kernel calls a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What the chain may do.
    pub kind: ChainType,
    /// When in a packet's life.
    pub at: BuiltinChain,
    /// Before and after which others: lower is earlier.
    pub priority: i32,
}

/// What a chain with a hook may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// Let pass or discard, mark.
    Filter,
    /// Rewrite addresses of a connection's first packet.
    Nat,
    /// Mark, with a new look at the routing afterwards.
    Route,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its chain.
    pub chain: ChainId,
    /// The kernel's number for it; 0 for one that does not stand yet.
    pub handle: u64,
    /// What it does.
    pub expressions: Vec<Expression>,
    /// What programs left there for themselves, such as comments.
    pub userdata: Vec<u8>,
}

/// A set of keys, or a map from keys to verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its table.
    pub table: Table,
    /// Its name; `__set%d` lets the kernel number one that belongs to a single rule.
    pub name: String,
    /// A number by which rules of the same batch name it.
    pub id: u32,
    /// What its keys are.
    pub kind: SetKind,
    /// How it behaves.
    pub flags: SetFlags,
    /// What is in it.
    pub elements: Vec<Element>,
}

/// What the keys of a set are: `nft`'s number for the type, and the length in bytes.
///
/// The kernel keeps the number for programs that list the set, and knows the length alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetKind {
    /// `nft`'s number of the type, such as 13 for `inet_service`.
    pub datatype: u32,
    /// How many bytes a key has.
    pub length: u32,
}

/// How a set behaves (`NFT_SET_*`).
#[expect(clippy::struct_excessive_bools, reason = "each is one bit on the wire")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetFlags {
    /// It belongs to the one rule that looks into it, and goes with it.
    pub anonymous: bool,
    /// It does not change once a rule looks into it.
    pub constant: bool,
    /// Its elements are the ends of ranges.
    pub interval: bool,
    /// It maps keys to verdicts.
    pub verdict_map: bool,
    /// Each element counts who matched it.
    pub counting: bool,
}

/// An element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The key, in network order.
    pub key: Vec<u8>,
    /// Whether a range ends before this key, rather than begins at it.
    pub interval_end: bool,
    /// What it maps to.
    pub value: Option<ElementValue>,
    /// What it counted, in packets and bytes, where the set counts.
    pub counter: Option<(u64, u64)>,
    /// Its place among those that the list named, from 0: sets themselves have no order.
    pub place: Option<u16>,
}

/// What an element of a map stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementValue {
    /// A verdict.
    Verdict(Verdict),
    /// Data.
    Data(Vec<u8>),
}

impl Table {
    /// The table of that family and name.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self {
            family,
            name: name.into(),
        }
    }

    /// A chain of this table.
    pub fn chain(&self, name: impl Into<String>) -> ChainId {
        ChainId {
            table: self.clone(),
            name: name.into(),
        }
    }
}

impl SetKind {
    /// `inet_service`: a port.
    pub const PORT: Self = Self {
        datatype: 13,
        length: 2,
    };
    /// `ipv4_addr`.
    pub const IPV4_ADDRESS: Self = Self {
        datatype: 7,
        length: 4,
    };
    /// `ipv6_addr`.
    pub const IPV6_ADDRESS: Self = Self {
        datatype: 8,
        length: 16,
    };
}

impl ChainType {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Filter, Self::Nat, Self::Route];
        all.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Hook {
    /// The number of the hook (`enum nf_inet_hooks`).
    pub fn number(self) -> u32 {
        match self.at {
            BuiltinChain::Prerouting => 0,
            BuiltinChain::Input => 1,
            BuiltinChain::Forward => 2,
            BuiltinChain::Output => 3,
            BuiltinChain::Postrouting => 4,
        }
    }

    pub(crate) fn from_number(number: u32) -> Option<BuiltinChain> {
        Some(match number {
            0 => BuiltinChain::Prerouting,
            1 => BuiltinChain::Input,
            2 => BuiltinChain::Forward,
            3 => BuiltinChain::Output,
            4 => BuiltinChain::Postrouting,
            _ => return None,
        })
    }
}

impl fmt::Display for Table {
    /// As `nft` names it: `ip nat`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        };
        write!(f, "{family} {}", self.name)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.name)
    }
}
