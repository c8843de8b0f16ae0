//! Black-box tests of the plan crate: configuration, decisions and the checked-in schema.

mod ambient;
mod conf;
mod decide;
mod ipv6;
mod kuma;
mod linkerd;
mod schema;

/// Compares with `tests/snapshots/NAME.snap`.
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
