//! Plans of installations.

use std::path::PathBuf;

use mesh_cni_installer::{
    Binary, DirectoryState, Entry, EntryError, NodeState, Refusal, Step, plan_install,
};
use serde_json::{Map, json};

use crate::assert_snapshot;
use crate::fixture::{
    BRIDGE, CALICO, installing, name_of, node, settings, stand_alone, with_binary, with_saved,
};

const OLDER_IN_THE_MIDDLE: &str = r#"{
  "name": "k8s",
  "plugins": [{"type": "calico"}, {"type": "mesh-cni", "profile": "istio"}, {"type": "portmap"}]
}"#;

const TWO_ENTRIES: &str = r#"{
  "name": "k8s",
  "plugins": [{"type": "calico"}, {"type": "mesh-cni"}, {"type": "portmap"}, {"type": "mesh-cni"}]
}"#;

const OURS_FIRST: &str =
    r#"{"name": "k8s", "plugins": [{"type": "mesh-cni"}, {"type": "calico"}]}"#;

const BROKEN: &str = r#"{"name": "k8s", "plugins": [{"type": "cali"#;

#[test]
fn the_binary_is_written_before_the_list() {
    assert_snapshot!(
        "install-fresh-node",
        "the binary before the list that names it; the entry is the last plugin",
        installing(&settings(), &node(&[("10-calico.conflist", CALICO)]))
    );
}

#[test]
fn older_entries_are_replaced_in_place() {
    assert_snapshot!(
        "install-older-entry",
        "the new entry is between calico and portmap, and the binary is not written again",
        installing(
            &settings(),
            &with_binary(node(&[("10-calico.conflist", OLDER_IN_THE_MIDDLE)]))
        )
    );
    assert_snapshot!(
        "install-two-entries",
        "one entry remains, at the position of the first",
        installing(&settings(), &node(&[("10-calico.conflist", TWO_ENTRIES)]))
    );
    assert_snapshot!(
        "install-entry-first",
        "the entry moves after calico, because a first plugin has no previous result",
        installing(&settings(), &node(&[("10-calico.conflist", OURS_FIRST)]))
    );
}

#[test]
fn a_single_plugins_file_is_converted_to_a_list() {
    assert_snapshot!(
        "install-conf",
        "first the binary, then the list, and then the .conf is renamed",
        installing(&settings(), &node(&[("10-lab.conf", BRIDGE)]))
    );
    assert_snapshot!(
        "install-conf-beside-foreign-list",
        "refused, so that the existing list is not overwritten",
        installing(
            &settings(),
            &node(&[("10-lab.conf", BRIDGE), ("10-lab.conflist", CALICO)])
        )
    );
}

#[test]
fn a_rewritten_single_plugins_file_is_converted_again() {
    let converted = list_of(&node(&[("10-lab.conf", BRIDGE)]));
    let changed = BRIDGE.replace("host-local", "dhcp");
    let state = node(&[("10-lab.conf", &changed), ("10-lab.conflist", &converted)]);
    assert_snapshot!(
        "install-conf-rewritten",
        "the list is written again (ipam dhcp), because the renamed file shows that we wrote the old one",
        installing(&settings(), &with_saved(state, "10-lab.conf", BRIDGE))
    );
}

#[test]
fn a_converted_file_is_found_by_its_old_name() {
    let converted = list_of(&node(&[("10-lab.conf", BRIDGE)]));
    let state = with_binary(node(&[
        ("00-other.conflist", CALICO),
        ("10-lab.conflist", &converted),
    ]));
    let mut settings = settings();
    settings.conf_name = Some(name_of("10-lab.conf"));
    let plan = plan_install(&settings, &with_saved(state, "10-lab.conf", BRIDGE)).unwrap();
    assert_eq!(plan.steps, []);
}

#[test]
fn a_requested_file_overrides_the_first() {
    let mut settings = settings();
    settings.conf_name = Some(name_of("20-calico.conflist"));
    assert_snapshot!(
        "install-named",
        "the second file is edited, the first is unchanged",
        installing(
            &settings,
            &node(&[("10-lab.conf", BRIDGE), ("20-calico.conflist", CALICO)])
        )
    );
}

#[test]
fn the_default_is_the_first_file_in_byte_order() {
    // Runtimes sort by bytes and load hidden files too.
    let state = node(&[
        ("a.conflist", CALICO),
        (".b.conflist", CALICO),
        ("B.conflist", CALICO),
    ]);
    let plan = plan_install(&settings(), &state).unwrap();
    let written = plan.steps.last().and_then(Step::path).unwrap();
    assert_eq!(written, PathBuf::from("/etc/cni/net.d/.b.conflist"));
}

#[test]
fn an_installed_node_needs_no_step() {
    let installed = list_of(&node(&[("10-calico.conflist", CALICO)]));
    assert_snapshot!(
        "install-again",
        "no steps",
        installing(
            &settings(),
            &with_binary(node(&[("10-calico.conflist", &installed)]))
        )
    );
}

#[test]
fn temporary_files_are_removed() {
    let state = NodeState {
        binary: Binary::Differs,
        leftovers: vec![PathBuf::from("/opt/cni/bin/.mesh-cni-a1b2c3.tmp")],
        ..node(&[("10-calico.conflist", CALICO)])
    };
    assert_snapshot!(
        "install-leftovers",
        "the temporary file is removed first, and the older binary is replaced",
        installing(&settings(), &state)
    );
}

#[test]
fn stand_alone_writes_its_own_list() {
    let fresh = node(&[("10-calico.conflist", CALICO)]);
    assert_snapshot!(
        "install-alone",
        "a separate file that sorts last, entry with standalone: true; calico is unchanged",
        installing(&stand_alone(), &fresh)
    );
    let mut named = stand_alone();
    named.conf_name = Some(name_of("10-calico.conflist"));
    let refusal = plan_install(&named, &fresh).unwrap_err();
    assert!(matches!(refusal, Refusal::NotOurs { .. }), "{refusal}");
}

#[test]
fn refusals_have_a_path_and_a_remedy() {
    let missing = |directory| NodeState {
        bin_dir: if directory == "bin" {
            DirectoryState::Missing
        } else {
            DirectoryState::Present
        },
        conf_dir: if directory == "conf" {
            DirectoryState::Missing
        } else {
            DirectoryState::Present
        },
        ..node(&[])
    };
    let empty = r#"{"name": "k8s", "plugins": []}"#;
    let list_as_json = node(&[("10-calico.json", CALICO)]);
    let mut named = settings();
    named.conf_name = Some(name_of("20-calico.conflist"));
    let refusals = [
        installing(&settings(), &missing("bin")),
        installing(&settings(), &missing("conf")),
        installing(&settings(), &node(&[])),
        installing(&named, &node(&[("10-lab.conf", BRIDGE)])),
        installing(&settings(), &node(&[("10-calico.conflist", BROKEN)])),
        installing(&settings(), &list_as_json),
        installing(&settings(), &node(&[("10-a.conflist", empty)])),
    ];
    assert_snapshot!(
        "install-refusals",
        "each is refused before any step, with the path and a remedy",
        refusals.join("\n")
    );
}

#[test]
fn entries_are_checked_as_in_the_plugin() {
    let refuse =
        |fields: serde_json::Value| Entry::new(fields.as_object().unwrap().clone()).unwrap_err();
    let error = refuse(json!({"backend": "iptable"}));
    assert!(matches!(error, EntryError::Refused(_)), "{error}");
    let error = refuse(json!({"type": "istio-cni"}));
    assert_eq!(
        error.to_string(),
        "field `type` of the entry is `\"istio-cni\"`, but must be `mesh-cni` or absent"
    );
    let odd = Map::from_iter([("colour".to_owned(), json!("red"))]);
    assert_eq!(Entry::new(odd).unwrap().unknown(), ["colour"]);
}

/// The list that an install writes on this node.
fn list_of(state: &NodeState) -> String {
    let plan = plan_install(&settings(), state).unwrap();
    let mut texts = plan.steps.into_iter().filter_map(|step| match step {
        Step::WriteList { text, .. } => String::from_utf8(text).ok(),
        _ => None,
    });
    texts.next().unwrap()
}
