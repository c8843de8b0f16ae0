//! The node agent as a process, on simulated nodes: killed at every system call that changes a file,
//! with failing disks, and with another program that writes the same list. And a panic of the plugin.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    reason = "a test of hundreds of kill points prints the current one"
)]

mod disks;
mod installations;
mod kill_points;
mod killed_agent;
mod migration;
mod node;
mod panics;
mod watches;
