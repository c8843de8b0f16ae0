//! How nodes of every kind are judged.

use std::fmt::Write;

use mesh_cni_installer::{Binary, Found, NodePaths, judge};

use crate::assert_snapshot;
use crate::situation::{CALICO, node, with_binary};

const INSTALLED: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}, {"type": "mesh-cni"}]}"#;
const ALONE: &str =
    r#"{"name": "mesh-cni", "plugins": [{"type": "mesh-cni", "standalone": true}]}"#;

#[test]
fn every_ailment_is_named() {
    let twice = r#"{"name": "a", "plugins": [{"type": "mesh-cni"}, {"type": "mesh-cni"}]}"#;
    let refused =
        r#"{"name": "a", "plugins": [{"type": "b"}, {"type": "mesh-cni", "profile": "x"}]}"#;
    let with = |binary, confs: &[(&str, &str)]| Found {
        binary,
        ..node(confs)
    };
    let nodes = [
        (
            "installed",
            with_binary(node(&[("10.conflist", INSTALLED)])),
        ),
        (
            "alone",
            with_binary(node(&[("10.conflist", CALICO), ("YYY.conflist", ALONE)])),
        ),
        ("clean", node(&[("10.conflist", CALICO)])),
        ("empty", node(&[])),
        ("no binary", node(&[("10.conflist", INSTALLED)])),
        (
            "other binary",
            with(Binary::Differs, &[("10.conflist", INSTALLED)]),
        ),
        (
            "mode",
            with(Binary::Mode(0o644), &[("10.conflist", INSTALLED)]),
        ),
        (
            "no entry",
            with_binary(node(&[("10.conflist", CALICO), ("20.conflist", INSTALLED)])),
        ),
        ("broken", with_binary(node(&[("10.conflist", "{")]))),
        (
            "twice and first",
            with_binary(node(&[("10.conflist", twice)])),
        ),
        ("refused", with_binary(node(&[("10.conflist", refused)]))),
    ];
    let mut text = String::new();
    for (name, found) in nodes {
        let status = judge(&NodePaths::default(), None, &found);
        writeln!(text, "{name}: {}", status.installation).unwrap();
        for ailment in status.ailments {
            writeln!(text, "  {ailment}").unwrap();
        }
    }
    assert_snapshot!(
        "status",
        "only the first two are installed, only the next two are not; the others are partly, and why",
        text
    );
}
