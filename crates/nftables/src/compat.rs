//! Rule sets as `iptables-nft` writes them.
//!
//! Tables and chains carry the names that iptables gives them. What `nf_tables` has words for
//! (interfaces, addresses, protocols, ports, marks, verdicts) is written in them; the rest goes
//! through `nft_compat` as matches and targets of `x_tables`. Both are what iptables 1.8.9 writes,
//! expression for expression, so that the host's `iptables` shows the rules as its own.

mod encode;
mod extension;
pub(crate) mod layout;
mod standing;
mod steps;

pub use standing::{Standing, read};
pub use steps::{create, remove, replace};

pub(crate) use extension::{to_match, to_target};
