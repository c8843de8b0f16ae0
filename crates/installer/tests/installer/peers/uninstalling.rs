//! A replaced entry is restored if requested.

use std::collections::BTreeSet;

use mesh_cni_installer::{NodePaths, NodeState, Note, plan_install};

use super::members::{
    FILE, istio, kuma, left, linkerd, list, node_with, replaced, replacing, restoring,
};
use crate::fixture::{file, name_of};

#[test]
fn uninstall_restores_the_entry_of_each_peer_if_requested() {
    for member in [linkerd(), kuma()] {
        let state = replaced(&[&member]);
        let (types, _) = left(&state, &restoring(&[&member]));
        assert_eq!(types, ["calico", "portmap", member.peer.plugin_type()]);
        let (types, _) = left(&state, &restoring(&[&istio()]));
        assert_eq!(types, ["calico", "portmap"]);
    }
}

#[test]
fn an_entry_without_its_binary_or_kubeconfig_is_not_restored() {
    for member in [linkerd(), kuma()] {
        let complete = replaced(&[&member]);
        let no_binary = NodeState {
            peer_binaries: BTreeSet::new(),
            ..complete.clone()
        };
        let no_kubeconfig = NodeState {
            peer_kubeconfigs: BTreeSet::new(),
            ..complete
        };
        for (state, file) in [(no_binary, "binary"), (no_kubeconfig, "kubeconfig")] {
            let (types, notes) = left(&state, &restoring(&[&member]));
            assert_eq!(types, ["calico", "portmap"]);
            let missing = Note::PeerFileMissing {
                path: NodePaths::default().conf(&name_of(FILE)),
                peer: member.peer,
                file,
            };
            assert!(notes.contains(&missing), "{notes:?}");
        }
    }
}

/// Linkerd's agent adds its entry to every list of the directory.
#[test]
fn an_entry_in_a_list_that_no_runtime_loads_does_not_prevent_restoring() {
    let member = linkerd();
    let mut state = replaced(&[&member]);
    state.confs.push(file("20-old.conflist", &list(&[&member])));
    let (types, _) = left(&state, &restoring(&[&member]));
    assert_eq!(types, ["calico", "portmap", "linkerd-cni"]);
    state
        .confs
        .insert(0, file("05-new.conflist", &list(&[&member])));
    let (types, notes) = left(&state, &restoring(&[&member]));
    assert_eq!(types, ["calico", "portmap"]);
    let exists = |note: &Note| matches!(note, Note::PeerEntryExists { .. });
    assert!(notes.iter().any(exists), "{notes:?}");
}

#[test]
fn several_entries_are_replaced_and_restored_at_once() {
    let members = [&linkerd(), &kuma()];
    let plan = plan_install(&replacing(&members), &node_with(&members)).unwrap();
    assert_eq!(
        plan.steps[0].to_string(),
        "wrote /etc/cni/net.d/10-calico.conflist: mesh-cni replaces linkerd-cni and kuma-cni"
    );
    let state = replaced(&members);
    assert_eq!(
        plan_install(&replacing(&members), &state).unwrap().steps,
        []
    );
    let (types, _) = left(&state, &restoring(&members));
    assert_eq!(types, ["calico", "portmap", "linkerd-cni", "kuma-cni"]);
    let (types, _) = left(&state, &restoring(&[&kuma()]));
    assert_eq!(types, ["calico", "portmap", "kuma-cni"]);
}
