//! Compares this crate with Debian's build of the reference plugins.
//!
//! `agreement` tests what must be equal, `conversion` the conversion of results between versions,
//! and `differences` the deliberate differences. The plugins come from the package
//! `containernetworking-plugins`; set `CNI_REFERENCE_DIR` if they are in another directory.
//! `conversion` requires root and the feature `root-tests`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail on errors"
)]

mod agreement;
#[cfg(feature = "root-tests")]
mod conversion;
mod differences;
#[cfg(feature = "root-tests")]
mod namespace;
mod process;
