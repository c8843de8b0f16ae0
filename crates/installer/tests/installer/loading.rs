//! Signs that the runtime does not load the chosen list.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use mesh_cni_installer::{
    Chaining, ConfName, Installation, NodePaths, NodeState, Problem, Settings, assess,
    plan_install, read_attachments, read_node,
};
use serde_json::json;

use crate::fixture::{CALICO, node, settings, with_binary};
use crate::node::Node;

const INSTALLED: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}, {"type": "mesh-cni"}]}"#;

fn warnings(settings: &Settings, state: &NodeState) -> Vec<String> {
    let notes = plan_install(settings, state).unwrap().notes.into_iter();
    let warnings = notes.filter(mesh_cni_installer::Note::is_warning);
    warnings.map(|note| note.to_string()).collect()
}

fn with_binaries(names: &[&str]) -> NodeState {
    let names = names.iter().map(|name| (*name).to_owned());
    NodeState {
        binaries: Some(names.collect()),
        ..node(&[("10-calico.conflist", CALICO), ("20-crio.conflist", CALICO)])
    }
}

#[test]
fn a_missing_plugin_is_a_warning() {
    let missing = warnings(&settings(), &with_binaries(&["portmap"]));
    insta::assert_snapshot!(missing.join("\n"), @"warning: plugin `calico` of /etc/cni/net.d/10-calico.conflist is not in /opt/cni/bin, so CRI-O uses another file: install the plugin or remove the file, or select the network's file with --cni-conf-name");
    for present in [
        &["calico", "portmap"][..],
        &["calico", "portmap", "mesh-cni"],
    ] {
        assert_eq!(warnings(&settings(), &with_binaries(present)), [""; 0]);
    }
    assert_eq!(
        warnings(&settings(), &with_binaries(&[])).len(),
        2,
        "one for each plugin"
    );
    let unknown = node(&[("10-calico.conflist", CALICO)]);
    assert_eq!(warnings(&settings(), &unknown), [""; 0]);
}

#[test]
fn another_network_of_the_newest_pod_is_a_warning_and_a_problem() {
    let mut state = with_binary(node(&[("10-k8s.conflist", INSTALLED)]));
    state.used_network = Some("k8s".to_owned());
    let status = |state: &NodeState, requested: Option<&ConfName>| {
        assess(&NodePaths::default(), requested, state)
    };
    assert_eq!(warnings(&settings(), &state), [""; 0]);
    assert_eq!(status(&state, None).installation, Installation::Installed);

    state.used_network = Some("crio".to_owned());
    insta::assert_snapshot!(warnings(&settings(), &state).join("\n"), @"warning: the runtime attached the newest pod to network `crio`, not to `k8s` of /etc/cni/net.d/10-k8s.conflist: select the file of `crio` with --cni-conf-name");
    let problems = status(&state, None).problems;
    insta::assert_snapshot!(problems[0].to_string(), @"the runtime attached the newest pod to network `crio`, not to `k8s` of /etc/cni/net.d/10-k8s.conflist");
    assert_eq!(status(&state, None).installation, Installation::Partly);

    // Who names a file knows it, as with the list of a network that Multus delegates to.
    let name = ConfName::new("10-k8s.conflist").unwrap();
    let mut named = settings();
    named.conf_name = Some(name.clone());
    assert_eq!(warnings(&named, &state), [""; 0]);
    assert_eq!(
        status(&state, Some(&name)).installation,
        Installation::Installed
    );
    let mut alone = settings();
    alone.chaining = Chaining::StandAlone;
    assert_eq!(warnings(&alone, &state), [""; 0]);
}

/// Writes an attachment of the cache, and sets its age in seconds.
fn attach(node: &Node, network: &str, interface: &str, uid: &str, age: u64) {
    let results = node.paths.cache_dir.join("results");
    fs::create_dir_all(&results).unwrap();
    let attachment = json!({
        "kind": "cniCacheV1", "containerId": format!("{network}-id"), "config": "",
        "ifName": interface, "networkName": network,
        "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_UID", uid]],
        "result": {"interfaces": [
            {"name": "cni0"}, {"name": interface, "sandbox": "/var/run/netns/x"},
        ]},
    });
    let path = results.join(format!("{network}-{interface}"));
    fs::write(&path, attachment.to_string()).unwrap();
    set_age(&path, age);
}

fn set_age(path: &std::path::Path, age: u64) {
    let time = SystemTime::now() - Duration::from_secs(age);
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn used(node: &Node) -> Option<String> {
    read_node(&node.paths, None).unwrap().used_network
}

#[test]
fn the_newest_pod_counts_if_no_file_changed_since() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    set_age(&node.conf("10-calico.conflist"), 100);
    set_age(&node.paths.conf_dir, 100);
    assert_eq!(used(&node), None, "no pod has started");
    attach(&node, "older", "eth0", "u-1", 80);
    attach(&node, "crio", "eth0", "u-2", 50);
    attach(&node, "podman", "eth0", "", 40);
    assert_eq!(used(&node).as_deref(), Some("crio"));
    set_age(&node.conf("10-calico.conflist"), 10);
    assert_eq!(
        used(&node),
        None,
        "the runtime may have loaded the file since then"
    );
    set_age(&node.conf("10-calico.conflist"), 100);
    fs::write(node.conf("README"), "").unwrap();
    assert_eq!(used(&node), None, "a file was added or removed since then");
}

#[test]
fn files_of_another_format_are_not_attachments() {
    let node = Node::new();
    attach(&node, "k8s", "eth0", "u-1", 5);
    let results = node.paths.cache_dir.join("results");
    for (name, text) in [
        ("a", ""),
        ("b", "[]"),
        ("c", r#"{"containerId": 1}"#),
        ("d", "\u{0}"),
    ] {
        fs::write(results.join(name), text).unwrap();
    }
    fs::create_dir(results.join("e")).unwrap();
    let found = read_attachments(&node.paths.cache_dir).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].sandbox, "k8s-id");
    assert_eq!(found[0].pod_uid.as_deref(), Some("u-1"));
    assert_eq!(found[0].netns.as_deref(), Some("/var/run/netns/x".as_ref()));
}

/// The signs and problems of a node with this file in the network's directory.
fn with_file(name: &str, content: &[u8]) -> (Vec<String>, Vec<String>) {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let directory = node.paths.drop_in_dir("k8s-pod-network");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join(name), content).unwrap();
    let state = read_node(&node.paths, None).unwrap();
    let status = assess(&node.paths, None, &state);
    let is_broken = |problem: &&Problem| matches!(problem, Problem::DropInBroken { .. });
    let problems = status.problems.iter().filter(is_broken);
    (
        warnings(&node.settings(), &state),
        problems.map(ToString::to_string).collect(),
    )
}

#[test]
fn a_file_that_newer_runtimes_cannot_append_is_a_warning_and_a_problem() {
    let deep = format!(
        r#"{{"type": "a", "x": {}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let broken = [
        ("50-tuning.conf", &b"{\"type\": \"tun"[..]),
        ("50-tuning.conf", br#"{"plugin": "tuning"}"#),
        (
            "50-tuning.conf",
            br#"{"type": "tuning", "cniVersion": 1.0}"#,
        ),
        ("50-tuning.conf", b""),
    ];
    for (name, content) in broken {
        let (warnings, problems) = with_file(name, content);
        assert!(
            warnings[0].contains("50-tuning.conf cannot be loaded"),
            "{warnings:?}"
        );
        assert!(problems[0].contains("do not load"), "{problems:?}");
    }
    for (name, content) in [
        ("50-tuning.conf", &br#"{"type": "tuning"}"#[..]),
        ("50-tuning.conf", b"{\"type\": \"tuning\", \"x\": \"\xe9\"}"),
        ("50-tuning.conf", deep.as_bytes()),
        ("50-tuning.conf.bak", b"{"),
        ("50-tuning.conflist", b"{"),
    ] {
        assert_eq!(with_file(name, content), (vec![], vec![]), "{name}");
    }
}

#[test]
fn what_takes_the_place_of_a_network_s_directory_is_a_warning() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let sees = || warnings(&node.settings(), &read_node(&node.paths, None).unwrap());
    assert_eq!(sees(), [""; 0]);
    let place = node.paths.drop_in_dir("k8s-pod-network");
    fs::write(&place, "").unwrap();
    assert!(sees()[0].contains("k8s-pod-network cannot be loaded"));
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    std::os::unix::fs::symlink("gone", place.join("50-tuning.conf")).unwrap();
    assert!(sees()[0].contains("50-tuning.conf cannot be loaded"));
    // A list that is closed to files is loaded.
    let closed = CALICO.replacen('{', "{\"loadOnlyInlinedPlugins\": true,", 1);
    fs::write(node.conf("10-calico.conflist"), closed).unwrap();
    assert_eq!(sees(), [""; 0]);
}
