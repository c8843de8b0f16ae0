//! Typed netfilter rules: parse, render and compare rule sets, and walk packets through them.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod drift;
pub mod interchange;
pub mod listing;
pub mod parse;
pub mod render;
pub mod ruleset;
pub mod transaction;
pub mod value;
pub mod walk;

mod ownership;

pub use drift::{Drift, differences, drift, drift_all};
pub use listing::Listing;
pub use ownership::{Ownership, only_ours, routing_mark};
pub use ruleset::{
    BuiltinChain, Chain, ChainName, ConntrackState, Counters, Family, Mark, Match, PolicyRouting,
    Protocol, Rule, RuleSet, Sense, Table, TableName, Target,
};
pub use value::{Gid, IdRange, InterfaceName, Port, PortRange, Uid};
pub use walk::{NetnsAddresses, Outcome, Packet, PortNames, Walk, walk, walk_in};
