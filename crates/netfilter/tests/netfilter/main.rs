//! Tests of the public interface of the netfilter crate.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod drift;
mod listing;
mod packet_text;
mod properties;
mod save;
mod support;
mod transaction;
mod walk;
mod walk_properties;
