//! The messages, byte for byte, and conversations with ztunnels that check what they receive.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
#![expect(clippy::panic, reason = "a test ends where it fails")]

mod conversation;
mod messages;
mod model;
mod properties;
