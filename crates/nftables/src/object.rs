//! What `nf_tables` holds: tables, chains, rules and sets.

mod codec;
mod display;

use mesh_cni_netfilter::ruleset::{BuiltinChain, ChainName, Family, TableName};

use crate::expression::{Expression, Verdict};
use crate::uapi::netfilter::ipv4::{
    NF_IP_PRI_FILTER, NF_IP_PRI_MANGLE, NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC, NF_IP_PRI_RAW,
};
use crate::uapi::netfilter::{
    NF_INET_FORWARD, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING,
};

pub(crate) use codec::{
    decode_chain, decode_elements, decode_rule, decode_set, decode_table, encode_elements,
};

/// A table, by its family and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    /// The family of the packets that it processes.
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

/// A chain, with its hook if it is a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Table and name.
    pub id: ChainId,
    /// Where the kernel calls it; `None` for a chain that only rules jump to.
    pub hook: Option<Hook>,
    /// The verdict at its end; only base chains have one.
    pub policy: Option<Verdict>,
}

/// Where the kernel calls a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The type of the chain.
    pub kind: ChainType,
    /// The netfilter hook.
    pub at: BuiltinChain,
    /// The priority: chains with a lower one are called earlier.
    pub priority: i32,
}

/// The type of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// Accepts, discards and marks packets.
    Filter,
    /// Translates addresses, for the first packet of a connection.
    Nat,
    /// Marks packets, which are then routed again.
    Route,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its chain.
    pub chain: ChainId,
    /// The kernel's handle; 0 for a rule that does not exist yet.
    pub handle: u64,
    /// Its expressions.
    pub expressions: Vec<Expression>,
    /// Its comment, which is in the user data as `nft` stores it.
    pub comment: Option<String>,
}

/// A set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its table.
    pub table: Table,
    /// Its name; the kernel replaces `%d` in that of an anonymous set by a number.
    pub name: String,
    /// Whether it is anonymous and constant: it belongs to one rule and does not change. Elements of
    /// another set can be [added](crate::Change::AddElements) and deleted.
    pub anonymous: bool,
    /// The id by which rules of the same batch refer to it.
    pub id: u32,
    /// The type of its keys.
    pub kind: SetKind,
    /// Whether its elements are the bounds of ranges.
    pub interval: bool,
    /// Whether each element counts the packets that match it.
    pub counting: bool,
    /// Its elements.
    pub elements: Vec<Element>,
}

/// The type of a set's keys.
///
/// The kernel uses the length only; `nft` prints keys by their datatype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetKind {
    /// `nft`'s number of the datatype (`enum datatypes` in nftables' `datatype.h`).
    pub datatype: u32,
    /// The length of a key in bytes.
    pub length: u32,
}

/// An element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The key, in network byte order.
    pub key: Vec<u8>,
    /// Whether a range ends before this key instead of starting at it.
    pub interval_end: bool,
    /// Packets and bytes, if the set counts.
    pub counter: Option<(u64, u64)>,
    /// Its position in the list that the set was made from; sets themselves have no order.
    pub place: Option<u16>,
    /// Its comment, which is in the user data as `nft` stores it.
    pub comment: Option<String>,
}

impl Table {
    /// The table with this family and name.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self {
            family,
            name: name.into(),
        }
    }

    /// The table of that name that iptables creates.
    pub(crate) fn of_iptables(family: Family, name: TableName) -> Self {
        Self::new(family, name.as_str())
    }

    /// A chain of this table.
    pub fn chain(&self, name: impl Into<String>) -> ChainId {
        ChainId {
            table: self.clone(),
            name: name.into(),
        }
    }

    /// A chain to create in this table, with its hook if it is a built-in chain of iptables' table.
    ///
    /// It has no policy: an existing chain keeps its own.
    pub(crate) fn new_chain(&self, iptables: TableName, name: &ChainName) -> Chain {
        Chain {
            id: self.chain(name.as_str()),
            hook: iptables.builtin(name).map(|at| Hook::of(iptables, at)),
            policy: None,
        }
    }
}

impl Chain {
    /// Whether the kernel calls it as iptables' built-in chain of that name.
    pub(crate) fn is_builtin(&self, iptables: TableName) -> bool {
        let mut builtin = iptables.builtin_chains().iter();
        builtin.any(|at| at.as_str() == self.id.name && self.hook == Some(Hook::of(iptables, *at)))
    }
}

impl Rule {
    /// Whether the user data of a rule can hold that comment.
    pub(crate) fn holds_comment(text: &str) -> bool {
        // NFT_USERDATA_MAXLEN of the kernel, less type and length in front and a NUL behind.
        const MAX_LENGTH: usize = 256 - 3;
        text.len() <= MAX_LENGTH && !text.contains('\0')
    }
}

impl SetKind {
    /// A port (`TYPE_INET_SERVICE`).
    pub const PORT: Self = Self {
        datatype: 13,
        length: 2,
    };
    /// An IPv4 address (`TYPE_IPADDR`).
    pub const IPV4_ADDRESS: Self = Self {
        datatype: 7,
        length: 4,
    };
    /// An IPv6 address (`TYPE_IP6ADDR`).
    pub const IPV6_ADDRESS: Self = Self {
        datatype: 8,
        length: 16,
    };
}

impl ChainType {
    /// The kernel's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Filter, Self::Nat, Self::Route]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

impl Hook {
    /// The hook of a built-in chain of iptables.
    pub(crate) fn of(table: TableName, at: BuiltinChain) -> Self {
        let (kind, priority) = match (table, at) {
            (TableName::Raw, _) => (ChainType::Filter, NF_IP_PRI_RAW),
            // Packets that get a mark here are routed again.
            (TableName::Mangle, BuiltinChain::Output) => (ChainType::Route, NF_IP_PRI_MANGLE),
            (TableName::Mangle, _) => (ChainType::Filter, NF_IP_PRI_MANGLE),
            (TableName::Nat, BuiltinChain::Prerouting | BuiltinChain::Output) => {
                (ChainType::Nat, NF_IP_PRI_NAT_DST)
            }
            (TableName::Nat, _) => (ChainType::Nat, NF_IP_PRI_NAT_SRC),
            (TableName::Filter, _) => (ChainType::Filter, NF_IP_PRI_FILTER),
        };
        Self { kind, at, priority }
    }

    /// The number of the hook (`enum nf_inet_hooks`).
    pub fn number(self) -> u32 {
        match self.at {
            BuiltinChain::Prerouting => NF_INET_PRE_ROUTING,
            BuiltinChain::Input => NF_INET_LOCAL_IN,
            BuiltinChain::Forward => NF_INET_FORWARD,
            BuiltinChain::Output => NF_INET_LOCAL_OUT,
            BuiltinChain::Postrouting => NF_INET_POST_ROUTING,
        }
    }

    fn new(kind: ChainType, number: u32, priority: i32) -> Option<Self> {
        BuiltinChain::ALL
            .into_iter()
            .map(|at| Self { kind, at, priority })
            .find(|hook| hook.number() == number)
    }
}
