//! Tests with real namespaces and real iptables, both `nft` and `legacy`.
//!
//! They need the feature `root-tests` and root. Without root they fail.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod addresses;
mod apply;
mod atomic;
mod enter;
mod independent;
mod listing;
mod rivals;
mod support;
mod tproxy;
