//! Tests of the public API.
#![expect(
    clippy::unwrap_used,
    reason = "tests fail on an unexpected `None` or `Err`"
)]

mod ambient;
mod json;
mod kuma;
mod labels;
mod manifests;
mod meshes;
mod names;
mod namespaces;
mod reasons;
mod support;
mod table;
