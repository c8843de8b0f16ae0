//! What is planned to leave nodes of every kind.

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
fn a_chained_node() {
    assert_snapshot!(
        "uninstall-chained",
        "entry first, then time to load the list, then the binary; every list is edited",
        uninstalling(&with_binary(node(&[
            ("10-calico.conflist", CHAINED),
            ("20-older.conflist", CHAINED),
            ("YYY-mesh-cni.conflist", ALONE),
        ])))
    );
}

#[test]
fn a_clean_node() {
    assert_snapshot!(
        "uninstall-clean",
        "no steps, and it is said that there is nothing",
        uninstalling(&node(&[("10-calico.conflist", CALICO)]))
    );
}

#[test]
fn a_converted_file_comes_back_before_its_list_goes() {
    let found = with_binary(node(&[("10-lab.conflist", CONVERTED)]));
    assert_snapshot!(
        "uninstall-converted",
        "the .conf is back before the list goes, so that the runtime always finds one",
        uninstalling(&with_saved(found, "10-lab.conf", BRIDGE))
    );
}

#[test]
fn a_converted_list_that_others_changed_stays() {
    let changed = CONVERTED.replace("0.4.0", "1.0.0");
    let found = with_binary(node(&[("10-lab.conflist", &changed)]));
    assert_snapshot!(
        "uninstall-converted-and-changed",
        "the change (1.0.0) stays, the entry goes, and the file that was set aside is kept",
        uninstalling(&with_saved(found, "10-lab.conf", BRIDGE))
    );
}

#[test]
fn a_converted_file_that_its_owner_wrote_again_wins() {
    let again = BRIDGE.replace("host-local", "dhcp");
    let found = node(&[("10-lab.conf", &again), ("10-lab.conflist", CONVERTED)]);
    assert_snapshot!(
        "uninstall-conf-rewritten",
        "the owner's new .conf stays; our list and the older copy go",
        uninstalling(&with_saved(found, "10-lab.conf", BRIDGE))
    );
}

#[test]
fn a_saved_file_whose_list_others_removed_does_not_come_back() {
    let found = with_saved(
        node(&[("20-calico.conflist", CALICO)]),
        "10-lab.conf",
        BRIDGE,
    );
    let plan = plan_uninstall(&NodePaths::default(), &found, &options()).unwrap();
    assert_eq!(plan.steps, []);
    assert!(matches!(plan.notes[..], [Note::SavedFileKept { .. }]));
}

#[test]
fn a_file_that_cannot_be_edited_keeps_the_binary() {
    assert_snapshot!(
        "uninstall-uneditable",
        "refused as a whole: the binary stays while a broken file mentions the plugin",
        uninstalling(&with_binary(node(&[
            ("10-broken.conflist", BROKEN),
            ("20-calico.conflist", CHAINED),
        ])))
    );
    assert_snapshot!(
        "uninstall-broken-foreign",
        "a broken file that does not mention the plugin is passed over, and that is said",
        uninstalling(&with_binary(node(&[
            ("10-broken.conflist", "{"),
            ("20.conflist", CALICO)
        ])))
    );
}

#[test]
fn the_binary_stays_for_those_who_ask() {
    let found = with_binary(node(&[("10-calico.conflist", CHAINED)]));
    let keep = UninstallOptions {
        binary: BinaryRemoval::Never,
        ..options()
    };
    let plan = plan_uninstall(&NodePaths::default(), &found, &keep).unwrap();
    let names: Vec<_> = plan.steps.iter().map(Step::name).collect();
    assert_eq!(names, ["write-list"]);
    assert!(matches!(plan.notes[..], [Note::BinaryKept { .. }]));
}
