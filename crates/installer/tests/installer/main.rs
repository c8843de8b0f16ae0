//! Black-box tests of the installer: what it plans, what it does, and what a crash leaves behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod contending;
mod credentials;
mod dropping_in;
mod installing;
mod keeper;
mod keeping;
mod kill_points;
mod migrating;
mod node;
mod owning;
mod patience;
mod preservation;
mod remains;
mod situation;
mod status;
mod uninstalling;
mod working;

/// Compares with `tests/snapshots/NAME.snap`; the description tells what to look for.
macro_rules! assert_snapshot {
    ($name:literal, $description:literal, $value:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $description,
        }, { insta::assert_snapshot!($name, $value) })
    };
}
pub(crate) use assert_snapshot;
