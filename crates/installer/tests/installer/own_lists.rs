//! What is planned where a copy of the network's list goes before it.

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
fn a_fresh_node() {
    assert_snapshot!(
        "owned-fresh",
        "the copy names its original, has our entry last, and calico's own file is not touched",
        installing(&owned_first(), &node(&[("10-calico.conflist", CALICO)]))
    );
    assert_snapshot!(
        "owned-conf",
        "the copy of a single plugin's file is a list; the file itself stays",
        installing(&owned_first(), &node(&[("10-lab.conf", BRIDGE)]))
    );
}

#[test]
fn the_copy_is_kept_in_step() {
    let copy = copy_of(("10-calico.conflist", CALICO));
    let changed = CALICO.replace("\"mtu\": 0", "\"mtu\": 1400");
    assert_snapshot!(
        "owned-changed",
        "the network's mtu is 1400 now, and the copy's becomes 1400",
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
fn the_copy_stays_while_the_networks_own_list_is_gone() {
    let copy = copy_of(("10-calico.conflist", CALICO));
    assert_snapshot!(
        "owned-alone",
        "no step: the network's list is gone, and the copy is all that pods start with",
        installing(&owned_first(), &with_binary(node(&[(OWNED, &copy)])))
    );
}

#[test]
fn only_our_own_copy_is_written_over_and_only_if_it_is_first() {
    let refusal = |confs: &[(&str, &str)]| plan_install(&owned_first(), &node(confs)).unwrap_err();
    let foreign = refusal(&[("10-calico.conflist", CALICO), (OWNED, CALICO)]);
    assert!(matches!(foreign, Refusal::NotOurs { .. }), "{foreign}");
    let earlier = refusal(&[("00-multus.conf", BRIDGE)]);
    assert!(matches!(earlier, Refusal::NotFirst { .. }), "{earlier}");
    let nothing = refusal(&[]);
    assert!(nothing.is_transient(), "{nothing}");
}

#[test]
fn modes_are_changed_without_a_moment_without_us() {
    let chained = written(
        &settings(),
        &node(&[("10-calico.conflist", CALICO)]),
        "10-calico.conflist",
    );
    assert_snapshot!(
        "owned-after-chained",
        "the copy stands before the entry leaves the network's own list",
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
        "the copy, then the single plugin's file is back, then the list that it had become goes",
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
        "the entry stands in the network's own list before the copy goes",
        installing(
            &settings(),
            &with_binary(node(&[("10-calico.conflist", CALICO), (OWNED, &copy)]))
        )
    );
    let mut renamed = owned_first();
    renamed.owned_name = name_of("00-first.conflist");
    assert_snapshot!(
        "owned-renamed",
        "the copy of the new name stands before the one of the old name goes",
        installing(
            &renamed,
            &with_binary(node(&[("10-calico.conflist", CALICO), (OWNED, &copy)]))
        )
    );
}

#[test]
fn the_copy_goes_when_asked_to() {
    let copy = copy_of(("10-calico.conflist", CALICO));
    assert_snapshot!(
        "uninstall-owned",
        "the copy goes, calico's own list stays as it is",
        uninstalling(&with_binary(node(&[
            ("10-calico.conflist", CALICO),
            (OWNED, &copy)
        ])))
    );
}

#[test]
fn a_list_that_names_a_binary_that_is_gone_is_mended_whatever_else_is_wrong() {
    let copy = copy_of(("10-calico.conflist", CALICO));
    let orphaned = node(&[("00-broken.conflist", "{"), (OWNED, &copy)]);
    plan_install(&owned_first(), &orphaned).unwrap_err();
    let names = |found: &NodeState| -> Vec<_> {
        let plan = plan_binary_repair(&owned_first(), found);
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
