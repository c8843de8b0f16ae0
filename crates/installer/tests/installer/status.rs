//! Assessment of nodes.

use std::fmt::Write;

use mesh_cni_installer::{Binary, NodePaths, NodeState, assess};

use crate::assert_snapshot;
use crate::fixture::{CALICO, node, with_binary, with_drop_in};

const INSTALLED: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}, {"type": "mesh-cni"}]}"#;
const ENTRY: &str = r#"{"type": "mesh-cni"}"#;
const THEIRS: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;
const COPY: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}, {"type": "mesh-cni"}], "mesh-cni/copy-of": "10.conflist"}"#;
const ALONE: &str =
    r#"{"name": "mesh-cni", "plugins": [{"type": "mesh-cni", "standalone": true}]}"#;

#[test]
fn every_problem_is_reported() {
    let mut text = String::new();
    for (name, state) in chained_nodes().into_iter().chain(other_nodes()) {
        let status = assess(&NodePaths::default(), None, &state);
        writeln!(text, "{name}: {}", status.installation).unwrap();
        for problem in status.problems {
            writeln!(text, "  {problem}").unwrap();
        }
    }
    assert_snapshot!(
        "status",
        "the first two, a current copy, a copy without its original and a drop-in are installed; a clean and an empty node are not; the others are partly installed, with problems",
        text
    );
}

fn chained_nodes() -> [(&'static str, NodeState); 11] {
    let twice = r#"{"name": "a", "plugins": [{"type": "mesh-cni"}, {"type": "mesh-cni"}]}"#;
    let refused =
        r#"{"name": "a", "plugins": [{"type": "b"}, {"type": "mesh-cni", "profile": "x"}]}"#;
    let with = |binary, confs: &[(&str, &str)]| NodeState {
        binary,
        ..node(confs)
    };
    [
        (
            "installed",
            with_binary(node(&[("10.conflist", INSTALLED)])),
        ),
        (
            "stand-alone",
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
        ("invalid", with_binary(node(&[("10.conflist", "{")]))),
        (
            "twice and first",
            with_binary(node(&[("10.conflist", twice)])),
        ),
        ("refused", with_binary(node(&[("10.conflist", refused)]))),
    ]
}

fn other_nodes() -> [(&'static str, NodeState); 7] {
    [
        (
            "current copy",
            with_binary(node(&[("02.conflist", COPY), ("10.conflist", THEIRS)])),
        ),
        (
            "copy without original",
            with_binary(node(&[("02.conflist", COPY)])),
        ),
        (
            "outdated copy",
            with_binary(node(&[("02.conflist", COPY), ("10.conflist", CALICO)])),
        ),
        (
            "drop-in",
            with_binary(with_drop_in(
                node(&[("10.conflist", THEIRS)]),
                "k8s",
                Some(ENTRY),
            )),
        ),
        (
            "drop-in and entry",
            with_binary(with_drop_in(
                node(&[("10.conflist", INSTALLED)]),
                "k8s",
                Some(ENTRY),
            )),
        ),
        (
            "invalid drop-in",
            with_binary(with_drop_in(
                node(&[("10.conflist", THEIRS)]),
                "k8s",
                Some("{"),
            )),
        ),
        (
            "with Istio CNI",
            with_binary(node(&[(
                "10.conflist",
                &INSTALLED.replace("calico", "istio-cni"),
            )])),
        ),
    ]
}
