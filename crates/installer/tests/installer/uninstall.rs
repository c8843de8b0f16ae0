//! Plans of uninstallations.

use mesh_cni_installer::{BinaryRemoval, NodePaths, Note, Step, UninstallOptions, plan_uninstall};

use crate::assert_snapshot;
use crate::fixture::{BRIDGE, CALICO, node, options, uninstalling, with_binary, with_saved};

const CHAINED: &str = r#"{
  "name": "k8s",
  "plugins": [{"type": "calico"}, {"type": "mesh-cni"}, {"type": "portmap"}]
}"#;

const CONVERTED: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "lab",
  "plugins": [
    {"cniVersion": "0.4.0", "name": "lab", "type": "bridge", "ipam": {"type": "host-local"}},
    {"type": "mesh-cni"}
  ]
}"#;

const ALONE: &str =
    r#"{"name": "mesh-cni", "plugins": [{"type": "mesh-cni", "standalone": true}]}"#;

const BROKEN: &str = r#"{"name": "k8s", "plugins": [{"type": "mesh-cni""#;

#[test]
fn the_entry_is_removed_before_the_binary() {
    assert_snapshot!(
        "uninstall-chained",
        "entry first, then a wait for the runtime, then the binary; every list is edited",
        uninstalling(&with_binary(node(&[
            ("10-calico.conflist", CHAINED),
            ("20-older.conflist", CHAINED),
            ("YYY-mesh-cni.conflist", ALONE),
        ])))
    );
}

#[test]
fn a_clean_node_needs_no_step() {
    assert_snapshot!(
        "uninstall-clean",
        "no steps, and a note that nothing is installed",
        uninstalling(&node(&[("10-calico.conflist", CALICO)]))
    );
}

#[test]
fn a_converted_file_is_restored_before_its_list_is_removed() {
    let state = with_binary(node(&[("10-lab.conflist", CONVERTED)]));
    assert_snapshot!(
        "uninstall-converted",
        "the .conf is restored before the list is removed, so that the runtime always finds one",
        uninstalling(&with_saved(state, "10-lab.conf", BRIDGE))
    );
}

#[test]
fn a_converted_list_that_others_changed_stays() {
    let changed = CONVERTED.replace("0.4.0", "1.0.0");
    let state = with_binary(node(&[("10-lab.conflist", &changed)]));
    assert_snapshot!(
        "uninstall-converted-and-changed",
        "the change (1.0.0) stays, the entry is removed, and the renamed file is kept",
        uninstalling(&with_saved(state, "10-lab.conf", BRIDGE))
    );
}

#[test]
fn a_converted_file_that_its_owner_rewrote_stays() {
    let again = BRIDGE.replace("host-local", "dhcp");
    let state = node(&[("10-lab.conf", &again), ("10-lab.conflist", CONVERTED)]);
    assert_snapshot!(
        "uninstall-conf-rewritten",
        "the owner's new .conf stays; our list and the renamed file are removed",
        uninstalling(&with_saved(state, "10-lab.conf", BRIDGE))
    );
}

#[test]
fn a_renamed_file_whose_list_others_removed_is_not_restored() {
    let state = with_saved(
        node(&[("20-calico.conflist", CALICO)]),
        "10-lab.conf",
        BRIDGE,
    );
    let plan = plan_uninstall(&NodePaths::default(), &state, &options());
    assert_eq!(plan.steps, []);
    assert!(matches!(plan.notes[..], [Note::SavedFileKept { .. }]));
}

#[test]
fn the_binary_stays_while_an_invalid_file_mentions_it() {
    assert_snapshot!(
        "uninstall-uneditable",
        "the other list is edited; the binary stays because an invalid file mentions the plugin, and passes pods through",
        uninstalling(&with_binary(node(&[
            ("10-broken.conflist", BROKEN),
            ("20-calico.conflist", CHAINED),
        ])))
    );
    assert_snapshot!(
        "uninstall-broken-foreign",
        "an invalid file that does not mention the plugin is ignored, with a note",
        uninstalling(&with_binary(node(&[
            ("10-broken.conflist", "{"),
            ("20.conflist", CALICO)
        ])))
    );
}

#[test]
fn the_binary_stays_if_requested() {
    let state = with_binary(node(&[("10-calico.conflist", CHAINED)]));
    let keep = UninstallOptions {
        binary: BinaryRemoval::Never,
        ..options()
    };
    let plan = plan_uninstall(&NodePaths::default(), &state, &keep);
    let names: Vec<_> = plan.steps.iter().map(Step::name).collect();
    assert_eq!(names, ["write-list"]);
    assert!(matches!(plan.notes[..], [Note::BinaryKept { .. }]));
}
