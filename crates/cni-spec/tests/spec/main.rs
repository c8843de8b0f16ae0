//! Tests of the public API.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail on errors"
)]

mod conf_list;
mod conf_list_bytes;
mod conf_list_load;
mod configuration;
mod environment;
mod main_loop;
mod properties;
mod results;
mod support;
