//! Hosts without a program or a kernel feature: the pod does not start, its namespace is unchanged,
//! and the error says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mesh_cni_netfilter::drift;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{Backend, BackendChoice, BackendProbeCache, NetNs, Xtables, read};
use mesh_cni_plugin::MeshCni;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_spec::{Environment, run};
use mesh_cni_tests::{Attachment, must, productpage_rules, write_script};
use serde_json::Value;

/// An ADD that must fail, with these host programs.
fn add_with(xtables: Xtables, attachment: &Attachment, netns: &NetNs) -> Value {
    let (code, error) = add_in_process(xtables, attachment, netns);
    assert_eq!(code, 1);
    error
}

/// Calls the plugin in this process with these host programs.
fn add_in_process(xtables: Xtables, attachment: &Attachment, netns: &NetNs) -> (u8, Value) {
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
    let answer = serde_json::from_slice(&stdout);
    (code, answer.expect("every answer is one JSON document"))
}

/// Replaces each iptables program by one that prints this and fails, as on a kernel without modules.
fn refusing(directory: &tempfile::TempDir, words: &str) -> Xtables {
    for family in ["iptables", "ip6tables"] {
        for flavour in ["nft", "legacy"] {
            for role in ["restore", "save"] {
                let path = directory.path().join(format!("{family}-{flavour}-{role}"));
                write_script(&path, &format!("#!/bin/sh\necho \"{words}\" >&2\nexit 3\n"));
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
    insta::assert_snapshot!(error["details"].as_str().unwrap(), @"install the distribution's package iptables on the node, which contains iptables-restore and ip6tables-restore, or set `backend` to one that works on the node");
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
    insta::assert_snapshot!(error["details"].as_str().unwrap(), @"load kernel modules with `modprobe -a` on the node (iptables-nft needs nf_tables, nft_compat, nft_chain_nat, xt_REDIRECT, xt_owner, xt_tcpudp), or set `backend` to one that its kernel supports");
}

#[test]
fn a_file_that_cannot_be_executed() {
    let (attachment, netns) = (Attachment::new("iptables-nft"), NetNs::scratch().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("iptables-nft-restore");
    write_script(&path, "neither ELF nor script");
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
fn a_foreign_chain_with_the_name_of_a_built_in_chain() {
    let (attachment, netns) = (Attachment::new("netlink"), NetNs::scratch().unwrap());
    must(&netns, "nft add table ip nat");
    // A chain with that name and without a hook.
    must(&netns, "nft add chain ip nat OUTPUT");
    let before = must(&netns, "nft list ruleset");
    let none = Xtables::in_directories(Vec::new());
    let error = add_with(none, &attachment, &netns);
    assert_eq!(must(&netns, "nft list ruleset"), before);
    insta::assert_snapshot!(error["msg"].as_str().unwrap(), @"traffic is not redirected: no back end works: netlink: the kernel refused `add chain ip nat OUTPUT { type nat hook output priority -100; }`: EEXIST: File exists");
}

/// An ADD of the documented pod with back end `auto` in a new namespace. Returns the back end of its rules.
fn auto(attachment: &Attachment) -> &'static str {
    let pod = NetNs::scratch().unwrap();
    let finished = attachment.call("ADD", pod.path());
    assert_eq!(finished.code, 0, "{}", finished.stdout);
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let found = read(&pod, &xtables, BackendChoice::Auto, &[Family::V4]).unwrap();
    assert_eq!(
        drift(&productpage_rules(), &found.rule_sets[0], &OWNERSHIP),
        None
    );
    found.backend.as_str()
}

#[test]
fn auto_probes_once_and_caches_the_result() {
    let attachment = Attachment::new("auto");
    let memory = attachment.path().join("run/backends");
    let log = || fs::read_to_string(attachment.path().join("run/plugin.log")).unwrap();
    assert_eq!(auto(&attachment), "netlink");
    let mode = memory.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(log().contains("back ends: netlink works; "), "{}", log());
    let probes = |log: &str| log.matches("back ends: ").count();
    assert_eq!((auto(&attachment), probes(&log())), ("netlink", 1));
    // A damaged cache is the same as none.
    for damage in ["", "netlink works\n", "\u{0}\u{ff}"] {
        fs::write(&memory, damage).unwrap();
        assert_eq!(auto(&attachment), "netlink", "{damage:?}");
    }
    assert_eq!(probes(&log()), 4);
}

#[test]
fn a_wrong_cache_costs_one_attempt_and_is_corrected() {
    let attachment = Attachment::new("auto");
    let memory = attachment.path().join("run/backends");
    auto(&attachment);
    let right = fs::read_to_string(&memory).unwrap();
    // The first back end of the cache does not work here: its program is missing.
    let empty = tempfile::tempdir().unwrap();
    let wrong = right
        .replace("netlink works", "netlink refused: changed by the test")
        .replace(
            "nft-native works",
            "nft-native refused: changed by the test",
        );
    assert_ne!(wrong, right);
    fs::write(&memory, &wrong).unwrap();
    assert_eq!(auto(&attachment), "netlink", "iptables-nft writes the same");
    let log = fs::read_to_string(attachment.path().join("run/plugin.log")).unwrap();
    assert!(log.contains("rules created by iptables-nft"), "{log}");

    let pretended = Xtables::in_directories(vec![empty.path().into()]);
    let probes = BackendProbeCache::probe(&pretended);
    assert_eq!(probes.first(), Some(Backend::Netlink));
    let mut wrong = probes.clone();
    wrong.results[0].1 = Err("changed by the test".to_owned());
    wrong.results[1].1 = Err("changed by the test".to_owned());
    wrong.results[2].1 = Ok(());
    let run_dir = attachment.path().join("run");
    wrong.store(&run_dir, &pretended).unwrap();
    let pod = NetNs::scratch().unwrap();
    let code = add_in_process(pretended.clone(), &attachment, &pod).0;
    assert_eq!(code, 0);
    assert_eq!(BackendProbeCache::load(&run_dir, &pretended), Some(probes));
}
