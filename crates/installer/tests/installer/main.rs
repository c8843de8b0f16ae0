//! Tests of the public interface: plans, file operations, and interrupted runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod backoff;
mod cache;
mod commands;
mod contention;
mod credentials;
mod drop_ins;
mod files;
mod fixture;
mod install;
mod istio;
mod keep;
mod keeper;
mod kill_points;
mod loading;
mod nested;
mod node;
mod own_lists;
mod peers;
mod preservation;
mod reload;
mod remedies;
mod runtime_choice;
mod status;
mod uninstall;

/// Compares with `tests/snapshots/NAME.snap`. The description says what to look for.
macro_rules! assert_snapshot {
    ($name:literal, $description:literal, $value:expr) => {
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $description,
        }, { insta::assert_snapshot!($name, $value) })
    };
}
pub(crate) use assert_snapshot;
