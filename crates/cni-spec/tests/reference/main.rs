//! Side by side with the reference plugins, as Debian builds them: the same call, compared.
//!
//! `agreement` holds what must be equal, `conversion` the ways between the versions' results, and
//! `differences` every place where this crate answers otherwise on purpose, both sides asserted.
//! The plugins come from the package `containernetworking-plugins`; `CNI_REFERENCE_DIR` names
//! another folder. `conversion` needs root and the feature `root-tests`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where it fails"
)]

mod agreement;
#[cfg(feature = "root-tests")]
mod conversion;
mod differences;
#[cfg(feature = "root-tests")]
mod namespace;
mod process;
