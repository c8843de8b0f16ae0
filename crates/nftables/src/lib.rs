//! Rule sets as `nf_tables` netlink messages, and back.
//!
//! This crate does no I/O: it encodes the messages that a program sends to the kernel, and decodes
//! the messages that the kernel answers with. It writes a [`RuleSet`](mesh_cni_netfilter::RuleSet) in
//! one of two ways:
//!
//! - [`compat`] writes the expressions that `iptables-nft` writes, so that `iptables -t nat -L -n -v`
//!   on the host lists the rules;
//! - [`native`] writes native expressions into tables of our own, with sets for long lists, so that
//!   `nft list ruleset` is easy to read.
//!
//! [`source`] writes a table that gives connections of the node to some addresses another source.
//!
//! All return a list of [`Change`]s. A [`Batch`] of them is one transaction: the kernel makes all
//! changes or none.

#![forbid(unsafe_code)]

pub mod compat;
pub mod expression;
pub mod native;
pub mod source;

mod answer;
mod attributes;
mod batch;
mod change;
mod condition;
mod dump;
mod extension;
mod field;
mod interpret;
mod message;
mod object;
mod uapi;
mod unwritable;

pub use answer::{Answer, Content, Refusal, answers};
pub use attributes::Malformed;
pub use batch::{Batch, Encoded};
pub use change::Change;
pub use dump::{Dump, Query};
pub use object::{Chain, ChainId, ChainType, Element, Hook, Rule, Set, SetKind, Table};
pub use unwritable::Unwritable;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
