//! Kernels whose modules are not loaded yet, or are missing. `scripts/kernel-test` runs each test in a
//! virtual machine of its own, because a loaded module stays.
#![expect(clippy::unwrap_used, reason = "a failed assertion ends the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_netns::{Backend, BackendChoice, Change, NetNs, Xtables, apply};
use mesh_cni_rules::Mesh;
use mesh_cni_tests::{Attachment, PRODUCTPAGE, PRODUCTPAGE_NAME, UserNs, must, productpage_rules};
use serde_json::Value;

/// Removes the files of modules, so that the kernel cannot load them.
fn without(modules: &[&str]) {
    let line = fs::read_to_string("/proc/cmdline").unwrap();
    assert!(
        line.contains("mesh-cni-kernel-test"),
        "this test removes kernel modules: run `make kernel-test`"
    );
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let directory = Path::new("/lib/modules").join(release.trim());
    for path in files(&directory) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name
            .split(".ko")
            .next()
            .is_some_and(|name| modules.contains(&name))
        {
            fs::remove_file(path).unwrap();
        }
    }
    let status = Command::new("depmod").status().unwrap();
    assert!(status.success());
    for module in modules {
        assert!(
            !Path::new("/sys/module").join(module).exists(),
            "{module} is loaded"
        );
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// The exit code and the error of a call for the documented pod in that namespace.
fn call(attachment: &Attachment, command: &str, netns: &NetNs) -> (i32, Value) {
    let finished = attachment.call(command, netns.path());
    let answer = serde_json::from_str(&finished.stdout).unwrap_or_default();
    (finished.code, answer)
}

/// The code and the remedy of STATUS; the code is 0 if an ADD would work.
fn status(backend: &str) -> (i64, String) {
    let mut attachment = Attachment::new(backend);
    attachment.conf["cniVersion"] = "1.1.0".into();
    attachment.conf["prevResult"]["cniVersion"] = "1.1.0".into();
    error(&call(&attachment, "STATUS", &NetNs::scratch().unwrap()).1)
}

fn error(answer: &Value) -> (i64, String) {
    let details = answer["details"].as_str().unwrap_or_default();
    (
        answer["code"].as_i64().unwrap_or_default(),
        details.to_owned(),
    )
}

#[test]
fn iptables_legacy_works_in_a_user_namespace_before_ip_tables_is_loaded() {
    assert!(!Path::new("/proc/net/ip_tables_names").exists());
    let users = UserNs::new();
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let choice = BackendChoice::Only(Backend::IptablesLegacy);
    let applied = apply(
        &users.netns(),
        &xtables,
        choice,
        Mesh::Istio,
        &[productpage_rules()],
    )
    .unwrap();
    assert_eq!(applied.change, Change::Created);
}

#[test]
fn without_nf_tables_only_iptables_legacy_works() {
    without(&["nf_tables", "nft_compat"]);
    for backend in ["netlink", "nft-native", "iptables-nft"] {
        let (code, details) = status(backend);
        assert_eq!(code, 50, "{backend}");
        assert!(
            details.contains(&format!("{backend} needs nf_tables")),
            "{details}"
        );
    }
    assert_eq!(status("iptables-legacy").0, 0);
    assert_eq!(status("auto").0, 0);
    let (attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    let (code, answer) = call(&attachment, "ADD", &netns);
    assert_eq!(code, 0, "{answer}");
    assert!(must(&netns, "iptables-legacy-save").contains("ISTIO_REDIRECT"));
}

#[test]
fn without_iptable_nat_iptables_legacy_does_not_work() {
    without(&["iptable_nat"]);
    let (code, details) = status("iptables-legacy");
    assert_eq!(code, 50);
    assert!(
        details.contains("iptables-legacy needs iptable_nat"),
        "{details}"
    );
    assert_eq!(status("auto").0, 0);
}

#[test]
fn a_missing_target_is_named() {
    without(&["xt_TPROXY", "nft_tproxy"]);
    let named = [
        ("netlink", "netlink needs nft_compat, xt_TPROXY"),
        ("nft-native", "nft-native needs nft_tproxy"),
        ("iptables-nft", "xt_TPROXY"),
        ("iptables-legacy", "xt_TPROXY"),
    ];
    for (backend, words) in named {
        let attachment = Attachment::new(backend);
        let annotations = "  annotations:\n    sidecar.istio.io/interceptionMode: TPROXY\n";
        let manifest = PRODUCTPAGE.replacen("  annotations:\n", annotations, 1);
        let name = format!("pods/default_{PRODUCTPAGE_NAME}.yaml");
        fs::write(attachment.path().join(name), manifest).unwrap();
        let netns = NetNs::scratch().unwrap();
        let (code, details) = error(&call(&attachment, "ADD", &netns).1);
        assert_eq!(code, 100, "{backend}");
        assert!(details.contains(words), "{backend}: {details}");
        assert!(!details.contains("xt_REDIRECT"), "{backend}: {details}");
        for list in [
            "iptables-nft-save",
            "iptables-legacy-save",
            "nft list ruleset",
        ] {
            let left = must(&netns, list);
            assert!(!left.contains("ISTIO"), "{backend} left:\n{left}");
        }
        // The other rules do not need it.
        let (attachment, netns) = (Attachment::new(backend), NetNs::scratch().unwrap());
        let (code, answer) = call(&attachment, "ADD", &netns);
        assert_eq!(code, 0, "{backend}: {answer}");
    }
}
