//! A run that is killed after any of its steps leaves a network that a runtime can load, and the
//! next run mends it.

use std::fs;
use std::time::Duration;

use mesh_cni_installer::{
    BinaryRemoval, Installation, Plan, Step, UninstallOptions, apply, install, plan_install,
    plan_uninstall, read_node, status, uninstall,
};

use crate::fixture::{BRIDGE, CALICO};
use crate::node::Node;

const LEAVING: UninstallOptions = UninstallOptions {
    binary: BinaryRemoval::Always,
    grace: Duration::ZERO,
    restore_istio_cni: false,
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
            each_step_can_be_loaded(&node, steps);

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
            each_step_can_be_loaded(&node, steps);

            uninstall(&node.paths, &LEAVING, |_| ()).unwrap();
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
fn uninstall_can_be_killed_in_an_install_that_was_killed() {
    for network in NODES {
        for killed in 0..=install_plan(&Node::with(&[network])).steps.len() {
            let node = Node::with(&[network]);
            each_step_can_be_loaded(&node, &install_plan(&node).steps[..killed]);
            each_step_can_be_loaded(&node, &uninstall_plan(&node).steps);
            uninstall(&node.paths, &LEAVING, |_| ()).unwrap();
            assert_eq!(installation(&node), Installation::NotInstalled);
            assert_eq!(node.files().len(), Node::with(&[network]).files().len());
        }
    }
}

#[test]
fn a_converted_file_that_came_back_can_be_killed_too() {
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
            each_step_can_be_loaded(&node, steps);

            uninstall(&node.paths, &LEAVING, |_| ()).unwrap();
            assert_eq!(node.read(name), again);
            assert_eq!(installation(&node), Installation::NotInstalled);
            assert_eq!(
                node.files().len(),
                Node::with(&[(name, text)]).files().len()
            );
        }
    }
}

fn each_step_can_be_loaded(node: &Node, steps: &[Step]) {
    node.load();
    apply(steps, |_| drop(node.load())).unwrap();
}

fn install_plan(node: &Node) -> Plan {
    let found = read_node(&node.paths, Some(&node.plugin_binary())).unwrap();
    plan_install(&node.settings(), &found).unwrap()
}

fn uninstall_plan(node: &Node) -> Plan {
    let found = read_node(&node.paths, None).unwrap();
    plan_uninstall(&node.paths, &found, &LEAVING).unwrap()
}

fn installation(node: &Node) -> Installation {
    let plugin_binary = node.plugin_binary();
    status(&node.paths, None, Some(&plugin_binary))
        .unwrap()
        .installation
}
