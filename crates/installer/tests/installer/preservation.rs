//! Files of others are unchanged.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use mesh_cni_installer::{BinaryRemoval, UninstallOptions, install, uninstall};
use proptest::prelude::*;

use crate::fixture::BRIDGE;
use crate::node::{Node, mode};

const UNINSTALL_ALL: UninstallOptions = UninstallOptions {
    binary: BinaryRemoval::Always,
    grace: Duration::ZERO,
    restore_istio_cni: false,
};

/// Formatted as the installer writes it, so that white space can be compared.
const ODD: &str = r#"{
    "zeta": {
        "b": 1,
        "a": 1e+3
    },
    "cniVersions": [
        "0.4.0",
        "1.1.0"
    ],
    "name": "odd",
    "cniVersion": "0.4.0",
    "disableCheck": "true",
    "plugins": [
        {
            "mtu": 1.50e+2,
            "type": "calico",
            "big": 123456789012345678901234567890,
            "text": "\u0007 ü \" \\"
        }
    ],
    "after": null
}
"#;

#[test]
fn a_list_is_the_same_byte_for_byte_after_install_and_uninstall() {
    let node = Node::with(&[("10-odd.conflist", ODD)]);
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    let installed = node.read("10-odd.conflist");
    let entry = r#",
        {
            "type": "mesh-cni",
            "exclude_namespaces": [
                "kube-system"
            ]
        }"#;
    assert_eq!(installed.replacen(entry, "", 1), ODD);
    assert_ne!(installed, ODD);

    uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
    assert_eq!(node.read("10-odd.conflist"), ODD);
}

#[test]
fn a_converted_file_is_the_same_byte_for_byte_after_uninstall() {
    let unusual = format!("\n\n   {BRIDGE}\t");
    let node = Node::with(&[("10-lab.conf", &unusual)]);
    fs::set_permissions(node.conf("10-lab.conf"), Permissions::from_mode(0o640)).unwrap();
    let before = node.files();
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    assert_eq!(mode(&node.conf("10-lab.conflist")), 0o640);
    uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
    assert_eq!(node.files(), before);
}

#[test]
fn mode_and_symbolic_link_of_a_list_are_kept() {
    let node = Node::with(&[("list.txt", ODD)]);
    fs::set_permissions(node.conf("list.txt"), Permissions::from_mode(0o600)).unwrap();
    symlink("list.txt", node.conf("10-odd.conflist")).unwrap();
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    assert!(node.conf("10-odd.conflist").is_symlink());
    assert!(node.load().contains("mesh-cni"));
    assert_eq!(mode(&node.conf("list.txt")), 0o600);
}

proptest! {
    #[test]
    fn numbers_and_keys_of_others_are_kept(key in "[a-zA-Z_./-]{1,12}", number in r"-?[1-9][0-9]{0,30}(\.[0-9]{1,20})?(e[+-][1-9][0-9]?)?") {
        let field = format!("\"x{key}\": {number}");
        let list = format!("{{\n  \"name\": \"a\",\n  {field},\n  \"plugins\": [\n    {{\n      \"type\": \"calico\",\n      {field}\n    }}\n  ]\n}}\n");
        let node = Node::with(&[("10-a.conflist", &list)]);
        install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
        uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
        prop_assert_eq!(node.read("10-a.conflist"), list);
    }

    #[test]
    fn an_invalid_list_is_refused_and_unchanged(text in ".{0,80}") {
        let node = Node::with(&[("10-a.conflist", &text)]);
        let before = node.files();
        install(&node.settings(), Duration::ZERO, |_| ()).unwrap_err();
        prop_assert_eq!(node.files(), before);
    }
}
