//! A real Multus between a real containerd and the plugin, with a real API server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod copies;
mod node;
mod stand_alone;
