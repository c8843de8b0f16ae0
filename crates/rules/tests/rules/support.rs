//! The settings for the documented dump, and snapshots in `tests/snapshots`.

use std::collections::BTreeMap;

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_rules::istio::{Dialect, Interception, PodSettings, compile};

/// The documented dump, byte for byte.
pub(crate) const DOCUMENTED_DUMP: &str = include_str!("../anchor/documented-dump.nat.v4.txt");

pub(crate) fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    owned.collect()
}

/// The interception of the documented pod, productpage.
pub(crate) fn productpage() -> Interception {
    let annotations = annotations(&[
        ("traffic.sidecar.istio.io/excludeInboundPorts", "22,15020"),
        ("traffic.sidecar.istio.io/excludeOutboundPorts", "15020"),
        (
            "traffic.sidecar.istio.io/excludeOutboundIPRanges",
            "192.168.0.1/32",
        ),
    ]);
    interception(&annotations)
}

pub(crate) fn interception(annotations: &BTreeMap<String, String>) -> Interception {
    let settings = PodSettings {
        annotations: Some(annotations),
        run_as_user: Some(1337),
        run_as_group: Some(1337),
        ..PodSettings::default()
    };
    settings
        .resolve()
        .expect("the annotations parse")
        .interception
}

pub(crate) fn asm(interception: &Interception) -> RuleSet {
    compile(interception, Dialect::Asm, Family::V4)
}

/// The output of `iptables-save` after `iptables-restore` in an empty namespace.
pub(crate) fn as_saved(restore: &str) -> String {
    let lines = restore
        .lines()
        .flat_map(|line| match line.strip_prefix("-N ") {
            Some(chain) => vec![format!(":{chain} - [0:0]")],
            None if line.starts_with('*') => {
                let builtin = [":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"];
                [line]
                    .into_iter()
                    .chain(builtin)
                    .map(str::to_owned)
                    .collect()
            }
            None => vec![line.to_owned()],
        });
    lines.collect::<Vec<_>>().join("\n")
}

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
