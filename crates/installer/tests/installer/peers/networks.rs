//! A network of its own, which another plugin has for Multus, is replaced and restored.

use std::collections::BTreeSet;

use mesh_cni_installer::{
    Chaining, NodePaths, Refusal, Step, UninstallOptions, plan_install, plan_uninstall,
};
use serde_json::{Value, json};

use super::members::{Member, istio, kuma, ours, replacing, restoring, serving, with_files};
use crate::assert_snapshot;
use crate::fixture::{file, node, uninstalling_as, written};

/// Kuma's default on Multus, and Istio CNI's.
fn networks() -> [(Member, &'static str, Value); 2] {
    let alone = kuma().entry;
    let mut istio_alone = istio().entry;
    istio_alone["name"] = json!("istio-cni");
    istio_alone["cniVersion"] = json!("0.3.1");
    [
        (kuma(), "kuma-cni.conf", alone),
        (istio(), "YYY-istio-cni.conf", istio_alone),
    ]
}

#[test]
fn a_network_of_its_own_is_replaced_and_restored() {
    for (member, name, alone) in networks() {
        let state = with_files(&[&member], node(&[(name, &alone.to_string())]));
        let mut settings = serving(&[&member]);
        settings.chaining = Chaining::StandAlone;
        let refusal = plan_install(&settings, &state).unwrap_err();
        assert!(matches!(refusal, Refusal::Peer { .. }), "{refusal}");
        settings.replace = BTreeSet::from([member.peer]);
        let refusal = plan_install(&settings, &state).unwrap_err();
        assert!(matches!(refusal, Refusal::PeerNetwork { .. }), "{refusal}");
        member
            .peer
            .plugin_type()
            .clone_into(&mut settings.network_name);

        let steps = plan_install(&settings, &state).unwrap().steps;
        let names: Vec<_> = steps.iter().map(Step::name).collect();
        assert_eq!(names, ["write-list", "set-aside"]);
        let text = written(&settings, &state, "YYY-mesh-cni.conflist");
        let own: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(own["name"], member.peer.plugin_type());
        let excluded = ours(&text)["exclude_namespaces"].clone();
        assert!(excluded.is_array(), "{text}");

        let mut after = with_files(&[&member], node(&[("YYY-mesh-cni.conflist", &text)]));
        after.saved = vec![file(name, &alone.to_string())];
        assert_eq!(plan_install(&settings, &after).unwrap().steps, []);
        let uninstalled = |options: &UninstallOptions| {
            let plan = plan_uninstall(&NodePaths::default(), &after, options);
            let names: Vec<_> = plan.steps.iter().map(Step::name).collect();
            names[..2].to_vec()
        };
        assert_eq!(
            uninstalled(&restoring(&[&member])),
            ["put-back", "remove-list"]
        );
        assert_eq!(uninstalled(&restoring(&[])), ["remove-list", "remove-list"]);
    }
}

#[test]
fn a_restored_network_of_its_own_is_found_at_any_time() {
    let (member, name, alone) = &networks()[0];
    let mut settings = replacing(&[member]);
    settings.chaining = Chaining::StandAlone;
    "kuma-cni".clone_into(&mut settings.network_name);
    let before = with_files(&[member], node(&[(name, &alone.to_string())]));
    let text = written(&settings, &before, "YYY-mesh-cni.conflist");
    let mut after = with_files(&[member], node(&[("YYY-mesh-cni.conflist", &text)]));
    after.saved = vec![file(name, &alone.to_string())];
    assert_snapshot!(
        "kuma-network-restored",
        "Kuma's file is renamed back before ours is removed",
        uninstalling_as(&after, &restoring(&[member]))
    );
}
