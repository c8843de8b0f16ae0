//! Tests of the plugin's binary, called as a container runtime calls it. None needs root: the package
//! `mesh-cni-tests` tests what changes a network namespace.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod fake_agent;
mod hostile_text;
mod log;
mod pass_through;
mod properties;
mod refusals;
mod sources;
mod status;
mod support;
mod unresponsive;
