//! Black-box tests of the selector.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets an unexpected `None` or `Err` should stop there"
)]

mod json;
mod labels;
mod manifests;
mod names;
mod namespaces;
mod reasons;
mod support;
mod table;
