//! Hosts that lack something: the pod does not start, the namespace is as it was, and the error
//! says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mesh_cni_netns::{NetNs, Xtables};
use mesh_cni_plugin::MeshCni;
use mesh_cni_spec::{Environment, run};
use mesh_cni_tests::{Attachment, must};
use serde_json::Value;

/// Calls the plugin in this process with those programs for the host's.
fn add_with(xtables: Xtables, attachment: &Attachment, netns: &NetNs) -> Value {
    let environment = Environment::from_pairs([
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "0123456789abcdef"),
        ("CNI_NETNS", &netns.path().display().to_string()),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", &Attachment::args()),
    ]);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let conf = attachment.conf.to_string();
    let code = run(
        &MeshCni::new(xtables).quiet(),
        &environment,
        &mut conf.as_bytes(),
        &mut stdout,
        &mut stderr,
    );
    assert_eq!(code, 1);
    serde_json::from_slice(&stdout).expect("an error is one JSON document")
}

/// Every program of iptables says this and fails, as on a kernel without what it needs.
fn refusing(directory: &tempfile::TempDir, words: &str) -> Xtables {
    for family in ["iptables", "ip6tables"] {
        for flavour in ["nft", "legacy"] {
            for role in ["restore", "save"] {
                let path = directory.path().join(format!("{family}-{flavour}-{role}"));
                fs::write(&path, format!("#!/bin/sh\necho \"{words}\" >&2\nexit 3\n")).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }
    Xtables::in_directories(vec![directory.path().into()])
}

#[test]
fn no_iptables_on_the_host() {
    let programs = Attachment::new("iptables-nft");
    let (attachment, netns) = (programs, NetNs::scratch().unwrap());
    let empty = tempfile::tempdir().unwrap();
    let xtables = Xtables::in_directories(vec![empty.path().into()]);
    let error = add_with(xtables, &attachment, &netns);
    assert_eq!(must(&netns, "nft list ruleset"), "");
    let said = error["msg"]
        .as_str()
        .unwrap()
        .replace(&empty.path().display().to_string(), "DIR");
    insta::assert_snapshot!(said, @"traffic is not redirected: no back end works: iptables-nft: no `iptables-nft-restore` in DIR");
    insta::assert_snapshot!(error["details"].as_str().unwrap(), @"install the distribution's package iptables on the node, which brings iptables-restore and ip6tables-restore, or set `backend` to one that the node has");
    assert_eq!(error["code"], 100);
}

#[test]
fn a_kernel_without_nat() {
    let programs = Attachment::new("iptables-nft");
    let (attachment, netns) = (programs, NetNs::scratch().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let said = "can't initialize iptables table \\`nat': Table does not exist";
    let error = add_with(refusing(&directory, said), &attachment, &netns);
    assert_eq!(must(&netns, "nft list ruleset"), "");
    assert_eq!(error["code"], 100);
    assert!(
        error["msg"]
            .as_str()
            .unwrap()
            .contains("Table does not exist"),
        "{error}"
    );
    insta::assert_snapshot!(error["details"].as_str().unwrap(), @"load the kernel modules nft_compat, nft_chain_nat, xt_REDIRECT, xt_owner and xt_tcpudp (iptable_nat in place of the first two for iptables-legacy) on the node, or set `backend` to one that its kernel has");
}

#[test]
fn a_program_that_is_no_program() {
    let (attachment, netns) = (Attachment::new("iptables-nft"), NetNs::scratch().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("iptables-nft-restore");
    fs::write(&path, "neither ELF nor script").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let xtables = Xtables::in_directories(vec![directory.path().into()]);
    let error = add_with(xtables, &attachment, &netns);
    assert_eq!(must(&netns, "nft list ruleset"), "");
    assert!(
        error["msg"].as_str().unwrap().contains("Exec format error"),
        "{error}"
    );
    assert!(
        error["details"].as_str().unwrap().contains("install"),
        "{error}"
    );
}

#[test]
fn a_table_in_which_others_took_the_place_of_a_chain() {
    let (attachment, netns) = (Attachment::new("netlink"), NetNs::scratch().unwrap());
    must(&netns, "nft add table ip nat");
    // A chain of that name that the kernel never calls.
    must(&netns, "nft add chain ip nat OUTPUT");
    let before = must(&netns, "nft list ruleset");
    let none = Xtables::in_directories(Vec::new());
    let error = add_with(none, &attachment, &netns);
    assert_eq!(must(&netns, "nft list ruleset"), before);
    insta::assert_snapshot!(error["msg"].as_str().unwrap(), @"traffic is not redirected: no back end works: netlink: the kernel refused `add chain ip nat OUTPUT { type nat hook output priority -100; }`: EEXIST: File exists");
}
