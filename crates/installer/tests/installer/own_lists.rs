//! Plans of mode owned-first, a copy that sorts before the network's list.

use mesh_cni_installer::{Binary, NodeState, Refusal, plan_binary_repair, plan_install};

use crate::assert_snapshot;
use crate::fixture::{
    BRIDGE, CALICO, installing, name_of, node, owned_first, settings, uninstalling, with_binary,
    with_saved, written,
};

const OWNED: &str = "02-mesh-cni.conflist";

fn copy_of(network: (&str, &str)) -> String {
    written(&owned_first(), &node(&[network]), OWNED)
}

#[test]
fn the_copy_names_its_original() {
    assert_snapshot!(
        "owned-fresh",
        "the copy names its original and has our entry last; calico's file is unchanged",
        installing(&owned_first(), &node(&[("10-calico.conflist", CALICO)]))
    );
    assert_snapshot!(
        "owned-conf",
        "the copy of a single plugin's file is a list; the file itself stays",
        installing(&owned_first(), &node(&[("10-lab.conf", BRIDGE)]))
    );
}

#[test]
fn the_copy_is_kept_up_to_date() {
    let copy = copy_of(("10-calico.conflist", CALICO));
    let changed = CALICO.replace("\"mtu\": 0", "\"mtu\": 1400");
    assert_snapshot!(
        "owned-changed",
        "the network's mtu changed to 1400, and the copy's changes too",
        installing(
            &owned_first(),
            &with_binary(node(&[("10-calico.conflist", &changed), (OWNED, &copy)]))
        )
    );
    let plan = plan_install(
        &owned_first(),
        &with_binary(node(&[("10-calico.conflist", CALICO), (OWNED, &copy)])),
    );
    assert_eq!(plan.unwrap().steps, []);
}

#[test]
fn the_copy_stays_while_the_original_is_missing() {
    let copy = copy_of(("10-calico.conflist", CALICO));
    assert_snapshot!(
        "owned-alone",
        "no step: the network's list is missing, so pods depend on the copy",
        installing(&owned_first(), &with_binary(node(&[(OWNED, &copy)])))
    );
}

#[test]
fn only_our_own_copy_is_overwritten_and_only_if_it_sorts_first() {
    let refusal = |confs: &[(&str, &str)]| plan_install(&owned_first(), &node(confs)).unwrap_err();
    let foreign = refusal(&[("10-calico.conflist", CALICO), (OWNED, CALICO)]);
    assert!(matches!(foreign, Refusal::NotOurs { .. }), "{foreign}");
    let earlier = refusal(&[("00-multus.conf", BRIDGE)]);
    assert!(matches!(earlier, Refusal::NotFirst { .. }), "{earlier}");
    let nothing = refusal(&[]);
    assert!(nothing.is_transient(), "{nothing}");
}

#[test]
fn a_change_of_mode_never_leaves_the_node_without_the_plugin() {
    let chained = written(
        &settings(),
        &node(&[("10-calico.conflist", CALICO)]),
        "10-calico.conflist",
    );
    assert_snapshot!(
        "owned-after-chained",
        "the copy is written before the entry is removed from the network's list",
        installing(
            &owned_first(),
            &with_binary(node(&[("10-calico.conflist", &chained)]))
        )
    );
    let converted = written(
        &settings(),
        &node(&[("10-lab.conf", BRIDGE)]),
        "10-lab.conflist",
    );
    assert_snapshot!(
        "owned-after-converted",
        "the copy, then the single plugin's file is restored, then its converted list is removed",
        installing(
            &owned_first(),
            &with_saved(
                with_binary(node(&[("10-lab.conflist", &converted)])),
                "10-lab.conf",
                BRIDGE
            )
        )
    );
    let copy = copy_of(("10-calico.conflist", CALICO));
    assert_snapshot!(
        "chained-after-owned",
        "the entry is in the network's list before the copy is removed",
        installing(
            &settings(),
            &with_binary(node(&[("10-calico.conflist", CALICO), (OWNED, &copy)]))
        )
    );
    let mut renamed = owned_first();
    renamed.owned_name = name_of("00-first.conflist");
    assert_snapshot!(
        "owned-renamed",
        "the copy with the new name is written before the old one is removed",
        installing(
            &renamed,
            &with_binary(node(&[("10-calico.conflist", CALICO), (OWNED, &copy)]))
        )
    );
}

#[test]
fn uninstall_removes_the_copy() {
    let copy = copy_of(("10-calico.conflist", CALICO));
    assert_snapshot!(
        "uninstall-owned",
        "the copy is removed, calico's list is unchanged",
        uninstalling(&with_binary(node(&[
            ("10-calico.conflist", CALICO),
            (OWNED, &copy)
        ])))
    );
}

#[test]
fn a_missing_binary_is_restored_even_if_the_installation_is_refused() {
    let copy = copy_of(("10-calico.conflist", CALICO));
    let orphaned = node(&[("00-multus.conf", BRIDGE), (OWNED, &copy)]);
    plan_install(&owned_first(), &orphaned).unwrap_err();
    let names = |state: &NodeState| -> Vec<_> {
        let plan = plan_binary_repair(&owned_first(), state);
        plan.steps
            .iter()
            .map(mesh_cni_installer::Step::name)
            .collect()
    };
    assert_eq!(names(&orphaned), ["write-binary"]);
    assert!(names(&with_binary(orphaned)).is_empty());
    assert!(names(&node(&[("10-calico.conflist", CALICO)])).is_empty());
    let unexecutable = NodeState {
        binary: Binary::Mode(0o644),
        ..node(&[(OWNED, &copy)])
    };
    assert_eq!(names(&unexecutable), ["write-binary"]);
}
