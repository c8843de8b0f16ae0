//! Plans of mode drop-in, a file that runtimes append to the list.

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
fn the_drop_in_is_in_the_networks_directory() {
    let fresh = node(&[("10-calico.conflist", CALICO)]);
    assert_snapshot!(
        "drop-in-fresh",
        "a file in the directory with the network's name; calico's list is unchanged",
        installing(&dropping_in(), &fresh)
    );
    let installed = with_drop_in(with_binary(fresh), NETWORK, Some(&dropped_in()));
    assert_eq!(plan_install(&dropping_in(), &installed).unwrap().steps, []);
}

#[test]
fn a_renamed_network_gets_a_new_drop_in() {
    let renamed = CALICO.replace(NETWORK, "cluster");
    let state = with_binary(node(&[("10-calico.conflist", &renamed)]));
    assert_snapshot!(
        "drop-in-renamed",
        "the file with the new name is written before the old one is removed",
        installing(
            &dropping_in(),
            &with_drop_in(state, NETWORK, Some(&dropped_in()))
        )
    );
}

#[test]
fn lists_that_do_not_support_drop_ins_are_refused() {
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
        "a converted single plugin, a single plugin, a list with loadOnlyInlinedPlugins, and a network name that would leave the directory",
        refusals.join("\n")
    );
}

#[test]
fn a_change_of_mode_never_leaves_the_node_without_the_plugin() {
    let fresh = node(&[("10-calico.conflist", CALICO)]);
    let chained = written(&settings(), &fresh, "10-calico.conflist");
    assert_snapshot!(
        "drop-in-after-chained",
        "the plugin may be called twice for a moment, which is harmless, but is always called",
        installing(
            &dropping_in(),
            &with_binary(node(&[("10-calico.conflist", &chained)]))
        )
    );
    assert_snapshot!(
        "chained-after-drop-in",
        "the entry is written before the file and its directory are removed",
        installing(
            &settings(),
            &with_drop_in(with_binary(fresh), NETWORK, Some(&dropped_in()))
        )
    );
}

#[test]
fn uninstall_removes_the_file_and_its_directory() {
    let fresh = with_binary(node(&[("10-calico.conflist", CALICO)]));
    assert_snapshot!(
        "uninstall-drop-in",
        "file, directory, then a wait for the runtime, then the binary",
        uninstalling(&with_drop_in(fresh.clone(), NETWORK, Some(&dropped_in())))
    );
    assert_snapshot!(
        "uninstall-drop-in-killed",
        "an empty directory with the network's name is removed, an empty one with another name stays",
        uninstalling(&with_drop_in(
            with_drop_in(fresh, NETWORK, None),
            "multus.d",
            None
        ))
    );
}
