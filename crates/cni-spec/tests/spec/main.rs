//! The crate from outside: what a runtime sends, what it gets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where it fails"
)]

mod conf_list;
mod configuration;
mod environment;
mod main_loop;
mod properties;
mod results;
mod support;
