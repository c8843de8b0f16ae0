//! Proof with a container runtime: containerd and runc make sandboxes through the CRI, and call the
//! plugin behind the reference `bridge` themselves.
//!
//! Needs root; without it these tests fail, they do not skip.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
#![expect(clippy::panic, reason = "a test ends where it fails")]

mod agent_pod;
mod asks_status;
mod from_agent;
mod image;
mod node;
mod runtime_source;
mod sandboxes;
