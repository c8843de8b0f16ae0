//! Mode drop-in: CRI-O loads the list again after each change of the file in the network's directory.

use std::fs;

use mesh_cni_tests::SandboxPod;

use crate::node::{LIST, Node, agent, difference, has_no_rules, reloaded, with_manifest};

const INSTALL: [&str; 5] = ["install", "--mode", "drop-in", "--pod-source", "file"];
const PODS: [&str; 2] = ["--pod-dir", "/etc/mesh-cni/pods"];

fn install(node: &mut Node, flags: &[&str]) {
    let words = [&INSTALL[..], &PODS, flags].concat();
    let installed = reloaded(node, |node| agent(node, &words));
    assert_eq!(
        installed.code, 0,
        "{}{}",
        installed.stdout, installed.stderr
    );
}

#[test]
fn a_drop_in_is_read_when_it_is_written_changed_and_removed() {
    let mut node = Node::with(None);
    let own = fs::read(node.path(LIST)).unwrap();
    install(&mut node, &[]);
    let first = with_manifest(&node, "a");
    let sandbox = first.start(&node.isolated_host).unwrap();
    assert_eq!(difference(&node, &sandbox), None);
    SandboxPod::end(&node.isolated_host, &sandbox);

    install(&mut node, &["--exclude-namespaces", "default"]);
    let sandbox = with_manifest(&node, "ab")
        .start(&node.isolated_host)
        .unwrap();
    assert!(
        has_no_rules(&node, &sandbox),
        "the namespace is excluded now"
    );
    SandboxPod::end(&node.isolated_host, &sandbox);

    install(&mut node, &[]);
    let sandbox = with_manifest(&node, "abc")
        .start(&node.isolated_host)
        .unwrap();
    assert_eq!(difference(&node, &sandbox), None);
    SandboxPod::end(&node.isolated_host, &sandbox);

    let removed = reloaded(&mut node, |node| agent(node, &["uninstall"]));
    assert_eq!(removed.code, 0, "{}{}", removed.stdout, removed.stderr);
    assert!(!node.path("/opt/cni/bin/mesh-cni").exists());
    let sandbox = with_manifest(&node, "abcd")
        .start(&node.isolated_host)
        .unwrap();
    assert!(has_no_rules(&node, &sandbox));
    SandboxPod::end(&node.isolated_host, &sandbox);
    assert_eq!(node.leased_addresses(), Vec::<String>::new());
    assert_eq!(fs::read(node.path(LIST)).unwrap(), own);
}
