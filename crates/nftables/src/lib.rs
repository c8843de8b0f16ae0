//! Rule sets of sidecar interception as `nf_tables` netlink messages, and back.
//!
//! This crate does no I/O: it makes the bytes that a program sends to the kernel, and reads the
//! bytes that the kernel answers. It knows two ways to write a [`RuleSet`](mesh_cni_netfilter::RuleSet):
//!
//! - [`compat`] writes it as `iptables-nft` does, expression for expression, so that
//!   `iptables -t nat -L -n -v` on the host shows it;
//! - [`native`] writes it in `nf_tables`' own words, in tables of our own, with sets for long
//!   lists, so that `nft list ruleset` reads well.
//!
//! Both come to a list of [`Change`]s; a [`Batch`] of them is one transaction: the kernel makes all
//! or none.

#![forbid(unsafe_code)]

pub mod compat;
pub mod expression;
pub mod native;

mod answer;
mod attributes;
mod batch;
mod change;
mod condition;
mod dump;
mod interpret;
mod message;
mod object;
mod unwritable;

pub use answer::{Answer, Content, Refusal, answers};
pub use attributes::Malformed;
pub use batch::{Batch, Encoded};
pub use change::Change;
pub use dump::{Dump, Query};
pub use object::{
    Chain, ChainId, ChainType, Element, ElementValue, Hook, Rule, Set, SetFlags, SetKind, Table,
};
pub use unwritable::Unwritable;
