//! Plans for nodes with Istio CNI.

use std::collections::BTreeSet;

use mesh_cni_installer::{
    NodePaths, NodeState, Note, Peer, Refusal, Settings, Step, UninstallOptions, plan_install,
    plan_uninstall,
};
use serde_json::{Value, json};

use crate::assert_snapshot;
use crate::fixture::{
    dropping_in, entry, file, installing, name_of, node, options, owned_first, settings,
    stand_alone, uninstalling, uninstalling_as, with_binary, written,
};

const ISTIO: &str = r#"{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "calico", "mtu": 0},
    {
      "type": "istio-cni",
      "name": "istio-cni",
      "plugin_log_level": "debug",
      "cni_agent_run_dir": "/var/run/istio-cni",
      "ambient_enabled": false,
      "exclude_namespaces": ["istio-system", "kube-system"],
      "pod_namespace": "istio-system",
      "native_nftables": true
    },
    {"type": "portmap"}
  ]
}
"#;

fn with_istio() -> NodeState {
    NodeState {
        peer_binaries: BTreeSet::from([Peer::IstioCni]),
        ..with_binary(node(&[("10-calico.conflist", ISTIO)]))
    }
}

/// Without settings of our own, so that all of Istio's settings are used.
fn replacing() -> Settings {
    let mut settings = settings();
    settings.entry = entry(json!({}));
    settings.replace = BTreeSet::from([Peer::IstioCni]);
    settings
}

fn replaced() -> NodeState {
    let list = written(&replacing(), &with_istio(), "10-calico.conflist");
    NodeState {
        peer_binaries: BTreeSet::from([Peer::IstioCni]),
        ..with_binary(node(&[("10-calico.conflist", &list)]))
    }
}

#[test]
fn a_list_with_istio_cni_is_refused() {
    let refusals = [settings(), owned_first(), dropping_in(), stand_alone()]
        .map(|settings| installing(&settings, &with_istio()));
    let mut ambient = settings();
    ambient.entry = entry(json!({"profile": "ambient"}));
    assert_eq!(installing(&ambient, &with_istio()), refusals[0]);
    assert_snapshot!(
        "istio-refused",
        "in every mode, with a remedy",
        refusals.join("\n")
    );
}

#[test]
fn the_entry_is_replaced_in_one_edit() {
    assert_snapshot!(
        "istio-replaced",
        "our entry between calico and portmap with Istio's log level, namespaces and nft-native, \
         but not its run directory and namespace; the old entry is kept in the list",
        installing(&replacing(), &with_istio())
    );
    let mut own = replacing();
    own.entry = entry(json!({"exclude_namespaces": ["mine"]}));
    let list = written(&own, &with_istio(), "10-calico.conflist");
    assert!(
        list.contains("mine") && list.contains("nft-native"),
        "{list}"
    );
}

/// Otherwise pods in ambient mode would start without it.
#[test]
fn ambient_mode_is_replaced_only_by_an_entry_for_the_same_pods() {
    let defaults = json!([
        {"podSelector": {"matchLabels": {"istio.io/dataplane-mode": "ambient"}}},
        {
            "podSelector": {"matchExpressions": [
                {"key": "istio.io/dataplane-mode", "operator": "NotIn", "values": ["none"]},
            ]},
            "namespaceSelector": {"matchLabels": {"istio.io/dataplane-mode": "ambient"}},
        },
    ]);
    let own = json!([{"podSelector": {"matchLabels": {"mesh": "on"}}}]);
    let install = |theirs: Option<&Value>, ours: Value| {
        let mut list: Value = serde_json::from_str(ISTIO).unwrap();
        let istio = &mut list["plugins"][1];
        istio["ambient_enabled"] = true.into();
        if let Some(selectors) = theirs {
            istio["enablement_selectors"] = selectors.clone();
        }
        let mut settings = replacing();
        settings.entry = entry(ours);
        let state = with_binary(node(&[("10-calico.conflist", &list.to_string())]));
        let planned = plan_install(&settings, &state);
        planned.map(drop).map_err(|refusal| refusal.to_string())
    };
    let both = json!({"profile": ["istio", "ambient"]});
    let selecting = json!({"profile": "ambient", "ambient": {"enablement_selectors": own}});
    for (theirs, ours) in [
        (None, &both),
        (Some(&defaults), &both),
        (Some(&own), &selecting),
    ] {
        assert_eq!(install(theirs, ours.clone()), Ok(()), "{ours}");
    }
    for (theirs, ours, reason) in [
        (None, &json!({"profile": "istio"}), "no profile serves"),
        (Some(&own), &both, "differs from ours"),
        (Some(&defaults), &selecting, "differs from ours"),
        (Some(&json!([])), &both, "cannot carry over the settings"),
    ] {
        let refusal = install(theirs, ours.clone()).unwrap_err();
        assert!(refusal.contains(reason), "{ours}: {refusal}");
    }
}

#[test]
fn a_replaced_entry_needs_no_step() {
    let plan = plan_install(&replacing(), &replaced()).unwrap();
    assert_eq!(plan.steps, []);
    let mut without_the_flag = replacing();
    without_the_flag.replace = BTreeSet::new();
    let plan = plan_install(&without_the_flag, &replaced()).unwrap();
    assert_eq!(plan.steps, []);
}

#[test]
fn an_entry_that_istio_adds_again_is_replaced_again() {
    let list = written(&replacing(), &with_istio(), "10-calico.conflist");
    let theirs = r#"{"type": "istio-cni", "plugin_log_level": "info"}"#;
    let portmap = r#"{"type": "portmap""#;
    let again = list.replace(portmap, &format!("{theirs}, {portmap}"));
    assert_ne!(again, list);
    let text = written(
        &replacing(),
        &node(&[("10-calico.conflist", &again)]),
        "10-calico.conflist",
    );
    assert_eq!(text.matches("\"type\": \"mesh-cni\"").count(), 1, "{text}");
    assert_eq!(text.matches("\"type\": \"istio-cni\"").count(), 1, "{text}");
}

#[test]
fn the_entry_is_replaced_in_a_copy() {
    let mut settings = replacing();
    settings.chaining = owned_first().chaining;
    assert_snapshot!(
        "istio-replaced-in-copy",
        "our entry is in the copy, Istio's list is unchanged",
        installing(&settings, &with_istio())
    );
}

#[test]
fn modes_that_cannot_replace_the_entry_refuse() {
    for mode in [dropping_in().chaining, stand_alone().chaining] {
        let mut settings = replacing();
        settings.chaining = mode;
        let refusal = plan_install(&settings, &with_istio()).unwrap_err();
        assert!(
            matches!(refusal, Refusal::PeerNotReplaceable { .. }),
            "{refusal}"
        );
    }
}

#[test]
fn uninstall_restores_the_entry_if_requested() {
    assert_snapshot!(
        "istio-restored",
        "Istio's original entry is between calico and portmap, and nothing of ours remains",
        uninstalling_as(&replaced(), &restoring())
    );
    assert_snapshot!(
        "istio-forgotten",
        "without the option, neither entry remains",
        uninstalling(&replaced())
    );
    let gone = NodeState {
        peer_binaries: BTreeSet::new(),
        ..replaced()
    };
    assert_snapshot!(
        "istio-gone",
        "neither entry remains, because a list must not name a missing binary; a warning says so",
        uninstalling_as(&gone, &restoring())
    );
}

fn restoring() -> UninstallOptions {
    UninstallOptions {
        restore: BTreeSet::from([Peer::IstioCni]),
        ..options()
    }
}

/// The node after Istio's agent has added its entry again, at the end as it does.
fn overlapping() -> NodeState {
    let mut list: Value = serde_json::from_slice(&replaced().confs[0].text).unwrap();
    let theirs = json!({"type": "istio-cni", "plugin_log_level": "info"});
    list["plugins"].as_array_mut().unwrap().push(theirs);
    NodeState {
        peer_binaries: BTreeSet::from([Peer::IstioCni]),
        ..with_binary(node(&[("10-calico.conflist", &list.to_string())]))
    }
}

#[test]
fn only_our_entry_is_removed_where_istio_has_written_its_own() {
    assert_snapshot!(
        "istio-overlap",
        "one istio-cni entry remains, the one with level info that Istio wrote; nothing of ours remains",
        uninstalling_as(&overlapping(), &restoring())
    );
}

/// The first list's plugins after an uninstallation, and its notes.
fn left(state: &NodeState) -> (Vec<String>, Vec<Note>) {
    let plan = plan_uninstall(&NodePaths::default(), state, &restoring());
    let mut texts = plan.steps.iter().filter_map(|step| match step {
        Step::WriteList { text, .. } => Some(text),
        _ => None,
    });
    let list: Value = serde_json::from_slice(texts.next().unwrap()).unwrap();
    assert_eq!(list.get("mesh-cni/replaced"), None, "{list}");
    let types = list["plugins"].as_array().unwrap().iter();
    let types = types.map(|plugin| plugin["type"].as_str().unwrap().to_owned());
    (types.collect(), plan.notes)
}

#[test]
fn istio_cni_in_another_file_counts_as_well() {
    // Istio CNI's mode with a file of its own, and a list in a meta-plugin's configuration.
    let owned =
        r#"{"name": "k8s-pod-network", "plugins": [{"type": "calico"}, {"type": "istio-cni"}]}"#;
    let nested = r#"{"name": "m", "type": "multus", "delegates": [{"name": "k8s-pod-network",
        "plugins": [{"type": "calico"}, {"type": "istio-cni"}]}]}"#;
    for (name, text) in [("02-istio-cni.conflist", owned), ("00-multus.conf", nested)] {
        let mut state = replaced();
        state.confs.insert(0, file(name, text));
        let (types, notes) = left(&state);
        assert_eq!(types, ["calico", "portmap"], "{name}");
        let expected = Note::PeerEntryExists {
            path: NodePaths::default().conf(&name_of(name)),
            peer: Peer::IstioCni,
        };
        assert!(notes.contains(&expected), "{notes:?}");
    }
}

#[test]
fn one_of_several_kept_entries_is_restored() {
    let mut state = replaced();
    let mut second = state.confs[0].clone();
    second.name = name_of("20-calico.conflist");
    state.confs.push(second);
    let plan = plan_uninstall(&NodePaths::default(), &state, &restoring());
    let edits = plan.steps.iter().filter_map(|step| match step {
        Step::WriteList { edit, .. } => Some(edit.to_string()),
        _ => None,
    });
    assert_eq!(
        edits.collect::<Vec<_>>(),
        ["istio-cni replaces mesh-cni", "without mesh-cni"]
    );
}

#[test]
fn a_kept_value_that_others_changed_is_not_restored() {
    for kept in [
        json!({"type": "mesh-cni"}),
        json!("istio-cni"),
        json!({"name": "istio-cni"}),
    ] {
        let mut list: Value = serde_json::from_slice(&replaced().confs[0].text).unwrap();
        list["mesh-cni/replaced"] = kept;
        let state = NodeState {
            peer_binaries: BTreeSet::from([Peer::IstioCni]),
            ..with_binary(node(&[("10-calico.conflist", &list.to_string())]))
        };
        let (types, notes) = left(&state);
        assert_eq!(types, ["calico", "portmap"]);
        assert!(
            notes.contains(&Note::NoPeerEntryToRestore(Peer::IstioCni)),
            "{notes:?}"
        );
    }
}

#[test]
fn an_entry_that_another_plugin_calls_cannot_be_replaced() {
    let multus = r#"{"name": "m", "plugins": [{"type": "multus", "delegates": [
        {"name": "k8s", "plugins": [{"type": "calico"}, {"type": "istio-cni"}]}]}]}"#;
    let state = with_binary(node(&[("00-multus.conflist", multus)]));
    let mut owned = replacing();
    owned.chaining = owned_first().chaining;
    owned.owned_name = name_of("00-multus.conf-mesh-cni.conflist");
    for settings in [settings(), replacing(), owned, stand_alone(), dropping_in()] {
        let refusal = plan_install(&settings, &state).unwrap_err();
        assert!(matches!(refusal, Refusal::PeerNested { .. }), "{refusal}");
    }
}
