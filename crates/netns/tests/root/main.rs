//! Tests with real namespaces and real iptables, both `nft` and `legacy`.
//!
//! They need the feature `root-tests` and root. Without root they fail.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod addresses;
mod ambient;
mod apply;
mod atomic;
#[path = "../../../cli/tests/root/control_group.rs"]
mod control_group;
mod enter;
mod independent;
mod listing;
mod nf_tables;
mod pod_netns;
mod reject_ipv6;
mod rivals;
mod source_address;
mod support;
mod tproxy;
mod words;
