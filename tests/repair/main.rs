//! Proof of repair with real parts: an API server with the shipped rights, the agent under its own
//! account, and pods whose processes run in network namespaces of this machine. Needs root.

#![expect(clippy::panic, reason = "a test that cannot go on fails")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../deploy/chart.rs"]
mod chart;
mod cluster;
#[path = "../../crates/cli/tests/root/control_group.rs"]
mod control_group;
mod deleting;
mod in_place;
mod labelling;
mod patient;
mod taint;
