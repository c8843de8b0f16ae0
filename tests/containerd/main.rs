//! A container runtime: containerd and runc create sandboxes through the CRI and call the plugin
//! after the reference plugin `bridge`.
//!
//! These tests need root; without root they fail.
#![expect(clippy::unwrap_used, reason = "a failed assertion ends the test")]
#![expect(clippy::panic, reason = "a failed assertion ends the test")]

mod agent_pod;
mod asks_status;
mod first_file;
mod from_agent;
mod image;
mod node;
mod runtime_source;
mod sandboxes;
