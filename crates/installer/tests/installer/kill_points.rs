//! After a run is killed at any step, a runtime can load a network, and the next run completes the
//! work.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use mesh_cni_installer::{
    BinaryRemoval, Installation, Plan, Step, UninstallOptions, apply, install, plan_install,
    plan_uninstall, read_node, status, uninstall,
};

use crate::fixture::{BRIDGE, CALICO};
use crate::node::Node;

const UNINSTALL_ALL: UninstallOptions = UninstallOptions {
    binary: BinaryRemoval::Always,
    grace: Duration::ZERO,
    restore: BTreeSet::new(),
};

const NODES: [(&str, &str); 3] = [
    ("10-calico.conflist", CALICO),
    ("10-lab.conf", BRIDGE),
    ("10-lab.json", BRIDGE),
];

#[test]
fn install_can_be_killed_after_any_step() {
    for network in NODES {
        let mut killed = 0;
        loop {
            let node = Node::with(&[network]);
            let plan = install_plan(&node);
            let Some(steps) = plan.steps.get(..killed) else {
                break;
            };
            apply_loading_each_step(&node, steps);

            install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
            assert!(node.load().contains("mesh-cni"), "{network:?}");
            assert_eq!(installation(&node), Installation::Installed);
            killed += 1;
        }
        assert!(killed > 2, "{network:?} takes at least two steps");
    }
}

#[test]
fn uninstall_can_be_killed_after_any_step() {
    for network in NODES {
        let mut killed = 0;
        loop {
            let node = Node::with(&[network]);
            let before = node.files();
            install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
            let plan = uninstall_plan(&node);
            let Some(steps) = plan.steps.get(..killed) else {
                break;
            };
            apply_loading_each_step(&node, steps);

            uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
            assert!(!node.load().contains("mesh-cni"), "{network:?}");
            let names = |files: Vec<(_, _, _)>| -> Vec<_> {
                files
                    .into_iter()
                    .map(|(path, mode, _)| (path, mode))
                    .collect()
            };
            assert_eq!(names(node.files()), names(before));
            killed += 1;
        }
        assert!(killed > 2, "{network:?} takes at least two steps");
    }
}

#[test]
fn uninstall_can_be_killed_after_an_interrupted_install() {
    for network in NODES {
        for killed in 0..=install_plan(&Node::with(&[network])).steps.len() {
            let node = Node::with(&[network]);
            apply_loading_each_step(&node, &install_plan(&node).steps[..killed]);
            apply_loading_each_step(&node, &uninstall_plan(&node).steps);
            uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
            assert_eq!(installation(&node), Installation::NotInstalled);
            assert_eq!(node.files().len(), Node::with(&[network]).files().len());
        }
    }
}

#[test]
fn uninstall_of_a_rewritten_file_can_be_killed() {
    for (name, text) in [NODES[1], NODES[2]] {
        for killed in 0.. {
            let node = Node::with(&[(name, text)]);
            install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
            let again = text.replace("host-local", "dhcp");
            fs::write(node.conf(name), &again).unwrap();
            let plan = uninstall_plan(&node);
            let Some(steps) = plan.steps.get(..killed) else {
                assert!(killed > 3, "{name} takes at least three steps");
                break;
            };
            apply_loading_each_step(&node, steps);

            uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
            assert_eq!(node.read(name), again);
            assert_eq!(installation(&node), Installation::NotInstalled);
            assert_eq!(
                node.files().len(),
                Node::with(&[(name, text)]).files().len()
            );
        }
    }
}

fn apply_loading_each_step(node: &Node, steps: &[Step]) {
    node.load();
    apply(steps, |_| drop(node.load())).unwrap();
}

fn install_plan(node: &Node) -> Plan {
    let state = read_node(&node.paths, Some(&node.plugin_binary())).unwrap();
    plan_install(&node.settings(), &state).unwrap()
}

fn uninstall_plan(node: &Node) -> Plan {
    let state = read_node(&node.paths, None).unwrap();
    plan_uninstall(&node.paths, &state, &UNINSTALL_ALL)
}

fn installation(node: &Node) -> Installation {
    let plugin_binary = node.plugin_binary();
    status(&node.paths, None, Some(&plugin_binary))
        .unwrap()
        .installation
}
