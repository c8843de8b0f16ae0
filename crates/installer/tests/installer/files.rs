//! Files that uninstall keeps or removes, and the sandboxes that need the binary.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_cni_installer::{
    BinaryRemoval, NodeState, Note, Sandboxes, UninstallOptions, install, plan_uninstall,
    read_sandboxes, uninstall,
};
use serde_json::json;

use crate::assert_snapshot;
use crate::fixture::{CALICO, node, options, settings, uninstalling_as, with_binary, written};
use crate::node::Node;

const WHEN_UNUSED: UninstallOptions = UninstallOptions {
    binary: BinaryRemoval::WhenUnused,
    grace: Duration::ZERO,
    restore: BTreeSet::new(),
};

fn chained(sandboxes: Sandboxes) -> NodeState {
    let list = written(
        &settings(),
        &node(&[("10-calico.conflist", CALICO)]),
        "10-calico.conflist",
    );
    NodeState {
        sandboxes,
        ..with_binary(node(&[("10-calico.conflist", &list)]))
    }
}

#[test]
fn the_binary_is_removed_only_if_no_sandbox_needs_it() {
    let options = UninstallOptions {
        binary: BinaryRemoval::WhenUnused,
        ..options()
    };
    let plans = [
        Sandboxes::Counted(0),
        Sandboxes::Counted(3),
        Sandboxes::Unknown,
    ]
    .map(|sandboxes| uninstalling_as(&chained(sandboxes), &options));
    assert_snapshot!(
        "uninstall-when-unused",
        "removed without sandboxes; kept for three sandboxes, and if their number is unknown",
        plans.join("\n")
    );
}

#[test]
fn sandboxes_are_counted_in_the_runtimes_cache() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let cache = &node.paths.cache_dir;
    assert_eq!(read_sandboxes(cache).unwrap(), Sandboxes::Counted(0));
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();

    let results = cache.join("results");
    fs::create_dir(&results).unwrap();
    let attachment = |list: &str| {
        let config = STANDARD.encode(list);
        json!({"kind": "cniCacheV1", "containerId": "a", "config": config}).to_string()
    };
    let ours = results.join("k8s-pod-network-a-eth0");
    fs::write(&ours, attachment(&node.read("10-calico.conflist"))).unwrap();
    fs::write(results.join("k8s-pod-network-b-eth0"), attachment(CALICO)).unwrap();
    fs::write(results.join("odd"), "mesh-cni").unwrap();
    assert_eq!(read_sandboxes(cache).unwrap(), Sandboxes::Counted(1));
    // Whether a file that cannot be read is of a sandbox with the plugin is not known.
    let (large, circular) = (results.join("large"), results.join("circular"));
    fs::write(&large, vec![b' '; (2 << 20) + 1]).unwrap();
    symlink(&circular, &circular).unwrap();
    assert_eq!(read_sandboxes(cache).unwrap(), Sandboxes::Counted(3));
    fs::remove_file(large).unwrap();
    fs::remove_file(circular).unwrap();

    let outcome = uninstall(&node.paths, &WHEN_UNUSED, |_| ()).unwrap();
    assert!(node.paths.binary().exists());
    assert!(
        matches!(outcome.notes[..], [Note::BinaryNeeded { .. }]),
        "{:?}",
        outcome.notes
    );
    fs::remove_file(&ours).unwrap();
    uninstall(&node.paths, &WHEN_UNUSED, |_| ()).unwrap();
    assert!(!node.paths.binary().exists());
}

#[test]
fn without_a_cache_the_number_of_sandboxes_is_unknown() {
    let node = Node::new();
    fs::remove_dir(&node.paths.cache_dir).unwrap();
    assert_eq!(
        read_sandboxes(&node.paths.cache_dir).unwrap(),
        Sandboxes::Unknown
    );
}

#[test]
fn the_run_directory_is_removed_unless_it_contains_other_files() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let run = &node.paths.run_dir;
    fs::create_dir(run).unwrap();
    for name in ["agent.sock", "plugin.log", "theirs"] {
        fs::write(run.join(name), "").unwrap();
    }
    uninstall(&node.paths, &WHEN_UNUSED, |_| ()).unwrap();
    let left: Vec<_> = fs::read_dir(run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["theirs"]);
    fs::remove_file(run.join("theirs")).unwrap();
    fs::write(run.join("agent.sock"), "").unwrap();
    fs::create_dir(run.join(".agentX1")).unwrap();
    fs::write(run.join(".agentX1/agent.sock"), "").unwrap();
    uninstall(&node.paths, &WHEN_UNUSED, |_| ()).unwrap();
    assert!(!run.exists());
}

#[test]
fn without_an_edited_list_there_is_no_wait() {
    let state = NodeState {
        sandboxes: Sandboxes::Counted(0),
        ..with_binary(node(&[("10-calico.conflist", CALICO)]))
    };
    let plan = plan_uninstall(
        &mesh_cni_installer::NodePaths::default(),
        &state,
        &options(),
    );
    let names: Vec<_> = plan
        .steps
        .iter()
        .map(mesh_cni_installer::Step::name)
        .collect();
    assert_eq!(names, ["remove-binary"]);
}
