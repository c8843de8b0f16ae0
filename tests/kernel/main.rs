//! Proof against the kernel: the plugin called as runtimes call it, real rules, real connections.
//!
//! Needs root; without it these tests fail, they do not skip.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod chain;
mod faults;
mod netlink;
mod plugin;
mod scenarios;
mod table;
mod traffic;
mod user_ns;
mod walk;
