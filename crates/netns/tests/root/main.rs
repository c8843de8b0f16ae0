//! Tests that need root: real namespaces, real iptables of both flavours.
//!
//! Built with the feature `root-tests`. Without root they fail, they do not skip.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends where it fails"
)]

mod addresses;
mod apply;
mod atomic;
mod enter;
mod listing;
mod rivals;
mod support;
mod tproxy;
