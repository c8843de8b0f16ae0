//! The wire encoding, seen from outside: what is written, and that it is read as it was meant.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod answers;
mod large;
mod round_trip;
mod settings;
mod snapshots;
