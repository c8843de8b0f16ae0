//! The service: its pure parts, and the whole process with a fake API server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod agent;
mod api_server;
mod commands;
mod diagnosing;
mod faults;
mod hanging;
mod hostile;
mod keeping;
mod layout;
mod limits;
mod listeners;
mod listing;
mod objects;
mod page;
#[cfg(feature = "pictures")]
mod pictures;
mod pods;
mod ports;
mod repairing;
mod socket;
