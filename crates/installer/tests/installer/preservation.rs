//! Files of others are unchanged.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use mesh_cni_installer::{BinaryRemoval, Peer, UninstallOptions, install, uninstall};
use proptest::prelude::*;
use serde_json::json;

use crate::fixture::{BRIDGE, entry};
use crate::node::{Node, mode};

const UNINSTALL_ALL: UninstallOptions = UninstallOptions {
    binary: BinaryRemoval::Always,
    grace: Duration::ZERO,
    restore: BTreeSet::new(),
};

/// Keys, numbers, escapes and white space that a new layout would change.
const ODD: &str = r#"{ "zeta": {"b": 1, "a": 1e3}, "cniVersions": ["0.4.0","1.1.0"],
    "name"  : "odd", "cniVersion": "0.4.0",
  "disableCheck": "true",
    "plugins": [{
            "mtu": 1.50e+2, "type": "calico", "type": "calico",
        "big": 123456789012345678901234567890, "text": "\u0007 \u00fc ü \/ \ud800" }

    ],
    "after": null}"#;

#[test]
fn a_list_is_the_same_byte_for_byte_after_install_and_uninstall() {
    let tabs = ODD.replace("    ", "\t");
    let latin =
        [&b"{\"name\":\"odd\",\"plugins\":[{\"type\":\"calico\",\"x\":\"caf\xe9\"}]}"[..]].concat();
    for before in [
        &include_bytes!("../node-files/bytes-aws-10-aws.conflist")[..],
        include_bytes!("../node-files/bytes-calico-10-calico.conflist"),
        include_bytes!("../node-files/bytes-crlf-10-flannel.conflist"),
        ODD.as_bytes(),
        tabs.as_bytes(),
        &latin,
    ] {
        let node = Node::with(&[]);
        let path = node.conf("10-a.conflist");
        fs::write(&path, before).unwrap();
        install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
        let installed = fs::read(&path).unwrap();
        let added = installed.len() - before.len();
        let same =
            |at: usize| installed[..at] == before[..at] && installed[at + added..] == before[at..];
        assert!((0..before.len()).any(same), "only our entry is added");
        let again = install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
        assert_eq!(again.steps, []);
        let mut other = node.settings();
        other.entry = entry(json!({"profile": "istio"}));
        install(&other, Duration::ZERO, |_| ()).unwrap();
        uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_replaced_entry_is_restored_byte_for_byte() {
    for peer in Peer::ALL {
        let theirs = format!(", {{\"type\" :\"{peer}\",\n\n \"x\":1e3 }}\n    ]");
        let before = ODD.replace("\n\n    ]", &theirs);
        let node = Node::with(&[("10-a.conflist", &before)]);
        fs::write(node.paths.bin_dir.join(peer.plugin_type()), "").unwrap();
        if let Some(kubeconfig) = peer.kubeconfig() {
            fs::write(node.conf(kubeconfig), "").unwrap();
        }
        let mut settings = node.settings();
        settings.entry = entry(json!({"profile": ["istio", "linkerd", "kuma"]}));
        settings.replace = BTreeSet::from([peer]);
        install(&settings, Duration::ZERO, |_| ()).unwrap();
        assert!(node.load().contains("mesh-cni"));
        let mut options = UNINSTALL_ALL;
        options.restore = BTreeSet::from([peer]);
        uninstall(&node.paths, &options, |_| ()).unwrap();
        assert_eq!(node.read("10-a.conflist"), before);
    }
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
