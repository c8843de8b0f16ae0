//! Repair with a real API server and the chart's rights, the agent under its own account, and pods
//! whose processes run in network namespaces of this machine. Needs root.

#![expect(clippy::panic, reason = "a test that cannot continue fails")]
#![expect(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod ambient;
mod broken_pod;
#[path = "../deploy/chart.rs"]
mod chart;
mod cluster;
#[path = "../../crates/cli/tests/root/control_group.rs"]
mod control_group;
mod deleting;
mod hostile;
mod in_place;
mod labelling;
mod listing;
mod taint;
