//! The plugin against the kernel: called as runtimes call it, with real rules and real connections.
//!
//! These tests need root; without root they fail.
#![expect(clippy::unwrap_used, reason = "a failed assertion ends the test")]

mod ambient;
mod chain;
mod check_without_facts;
mod faults;
mod netlink;
mod plugin;
mod scenarios;
mod table;
mod traffic;
mod user_ns;
mod walk;
