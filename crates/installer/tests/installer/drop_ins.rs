//! What is planned where the runtime appends the plugins of a directory to a list.

use mesh_cni_installer::plan_install;

use crate::assert_snapshot;
use crate::fixture::{
    BRIDGE, CALICO, dropping_in, installing, node, settings, uninstalling, with_binary,
    with_drop_in, with_saved, written,
};

const NETWORK: &str = "k8s-pod-network";

fn dropped_in() -> String {
    let fresh = node(&[("10-calico.conflist", CALICO)]);
    written(&dropping_in(), &fresh, "99-mesh-cni.conf")
}

#[test]
fn a_fresh_node() {
    let fresh = node(&[("10-calico.conflist", CALICO)]);
    assert_snapshot!(
        "drop-in-fresh",
        "a file in the directory with the network's name; calico's own list is not touched",
        installing(&dropping_in(), &fresh)
    );
    let installed = with_drop_in(with_binary(fresh), NETWORK, Some(&dropped_in()));
    assert_eq!(plan_install(&dropping_in(), &installed).unwrap().steps, []);
}

#[test]
fn a_network_that_changes_its_name_takes_its_drop_in_along() {
    let renamed = CALICO.replace(NETWORK, "cluster");
    let found = with_binary(node(&[("10-calico.conflist", &renamed)]));
    assert_snapshot!(
        "drop-in-renamed",
        "the file of the new name stands before the one of the old name goes",
        installing(
            &dropping_in(),
            &with_drop_in(found, NETWORK, Some(&dropped_in()))
        )
    );
}

#[test]
fn lists_that_take_no_drop_ins_are_refused() {
    let closed = CALICO.replacen('{', "{\"loadOnlyInlinedPlugins\": true,", 1);
    let named = CALICO.replace(NETWORK, "../etc");
    let single = node(&[("10-lab.conf", BRIDGE)]);
    let converted = written(&settings(), &single, "10-lab.conflist");
    let converted = node(&[("10-lab.conflist", &converted)]);
    let refusals = [
        installing(
            &dropping_in(),
            &with_saved(converted, "10-lab.conf", BRIDGE),
        ),
        installing(&dropping_in(), &node(&[("10-lab.conf", BRIDGE)])),
        installing(&dropping_in(), &node(&[("10-calico.conflist", &closed)])),
        installing(&dropping_in(), &node(&[("10-calico.conflist", &named)])),
    ];
    assert_snapshot!(
        "drop-in-refusals",
        "a list that is a single plugin again when our entry goes, a single plugin, a list that says so itself, and a name that would leave the directory",
        refusals.join("\n")
    );
}

#[test]
fn modes_are_changed_without_a_moment_without_us() {
    let fresh = node(&[("10-calico.conflist", CALICO)]);
    let chained = written(&settings(), &fresh, "10-calico.conflist");
    assert_snapshot!(
        "drop-in-after-chained",
        "called twice for a moment, which changes nothing, and never not at all",
        installing(
            &dropping_in(),
            &with_binary(node(&[("10-calico.conflist", &chained)]))
        )
    );
    assert_snapshot!(
        "chained-after-drop-in",
        "the entry first, then the file and its directory go",
        installing(
            &settings(),
            &with_drop_in(with_binary(fresh), NETWORK, Some(&dropped_in()))
        )
    );
}

#[test]
fn the_file_and_its_directory_go() {
    let fresh = with_binary(node(&[("10-calico.conflist", CALICO)]));
    assert_snapshot!(
        "uninstall-drop-in",
        "file, directory, then time for the runtime, then the binary",
        uninstalling(&with_drop_in(fresh.clone(), NETWORK, Some(&dropped_in())))
    );
    assert_snapshot!(
        "uninstall-drop-in-killed",
        "an empty directory of the network's name goes, an empty one of another name stays",
        uninstalling(&with_drop_in(
            with_drop_in(fresh, NETWORK, None),
            "multus.d",
            None
        ))
    );
}
