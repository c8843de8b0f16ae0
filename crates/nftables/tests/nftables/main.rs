//! Encoding and decoding through the public API.
#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod answers;
mod large;
mod repeated;
mod round_trip;
mod settings;
mod snapshots;
mod source;
