//! Rule sets as `iptables-nft` writes them.
//!
//! Tables and chains have the names that iptables gives them. Interfaces, addresses, protocols,
//! ports, marks and verdicts become native expressions. Everything else becomes matches and targets
//! of `x_tables`, called through `nft_compat`. The expressions are those of iptables 1.8.9, so that
//! the host's `iptables` lists the rules as its own.

mod changes;
mod encode;
mod installed;

pub use changes::{create, remove, replace};
pub use installed::{InstalledRules, read};
