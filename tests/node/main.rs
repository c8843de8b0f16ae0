//! The node agent as a process, on nodes of its own: killed at every system call that changes a
//! file, on disks that refuse, beside a program that writes the same list.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    reason = "a test of hundreds of points says at which one it was"
)]

mod disks;
mod kill_points;
mod killed_keeper;
mod node;
mod situations;
mod watches;
