//! CHECK while the source of the pod's facts is unavailable: it judges by the rules.

use std::fs;

use mesh_cni_netns::{Backend, NetNs};
use mesh_cni_tests::{Attachment, Finished, PRODUCTPAGE, PRODUCTPAGE_NAME, must};
use serde_json::{Value, json};

/// The documented pod with its rules.
fn redirected(backend: &str) -> (Attachment, NetNs) {
    let (attachment, netns) = (Attachment::new(backend), NetNs::scratch().unwrap());
    let added = attachment.call("ADD", netns.path());
    assert_eq!(added.code, 0, "{}", added.stdout);
    (attachment, netns)
}

fn remove_manifest(attachment: &Attachment) {
    let manifest = format!("pods/default_{PRODUCTPAGE_NAME}.yaml");
    fs::remove_file(attachment.path().join(manifest)).unwrap();
}

fn error(finished: &Finished) -> (i64, String) {
    let error: Value = serde_json::from_str(&finished.stdout).expect("an error is one document");
    (error["code"].as_i64().unwrap(), error["msg"].to_string())
}

const COMPLETE: &str = "the rules are complete, but were not compared with the pod's settings";

fn assert_passes(attachment: &Attachment, netns: &NetNs, why: &str) {
    let checked = attachment.call("CHECK", netns.path());
    assert_eq!((checked.code, checked.stdout.as_str()), (0, ""), "{why}");
    let said = checked.stderr.contains(COMPLETE) && checked.stderr.contains(why);
    assert!(said, "{why}: {}", checked.stderr);
}

#[test]
fn complete_rules_pass_without_any_source() {
    for backend in Backend::ALL {
        let (mut attachment, netns) = redirected(backend.as_str());
        let dir = attachment.path();
        let source = |name: &str| json!(name);
        attachment.conf["pod_source"] = source("agent");
        assert_passes(&attachment, &netns, "the agent does not answer");
        attachment.conf["pod_source"] = source("auto");
        assert_passes(&attachment, &netns, "the agent does not answer");
        attachment.conf["pod_source"] = source("api");
        let kubeconfig = dir.join("kubeconfig");
        attachment.conf["kubeconfig"] = json!(&kubeconfig);
        assert_passes(&attachment, &netns, "kubeconfig");
        fs::write(&kubeconfig, UNREACHABLE).unwrap();
        assert_passes(&attachment, &netns, "the API server does not answer");
        attachment.conf["pod_source"] = source("file");
        remove_manifest(&attachment);
        assert_passes(&attachment, &netns, "has no manifest");
        fs::remove_dir(dir.join("pods")).unwrap();
        assert_passes(&attachment, &netns, "cannot read");
    }
}

/// A server that refuses connections.
const UNREACHABLE: &str = "
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters:
- name: k
  cluster:
    server: https://127.0.0.1:9
    certificate-authority-data: eA==
users: [{name: u, user: {token: secret}}]
";

#[test]
fn complete_rules_of_other_settings_pass() {
    for (key, value) in [
        ("sidecar.istio.io/interceptionMode", "TPROXY"),
        ("traffic.sidecar.istio.io/includeInboundPorts", "9080"),
        (
            "traffic.sidecar.istio.io/includeOutboundIPRanges",
            "10.0.0.0/8",
        ),
        ("traffic.sidecar.istio.io/excludeInterfaces", "eth1"),
    ] {
        for ruleset in ["asm", "istio"] {
            let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
            attachment.conf["ruleset"] = json!(ruleset);
            let annotated = PRODUCTPAGE.replacen(
                "annotations:",
                &format!("annotations:\n    {key}: \"{value}\""),
                1,
            );
            let manifest = format!("pods/default_{PRODUCTPAGE_NAME}.yaml");
            fs::write(attachment.path().join(manifest), annotated).unwrap();
            let added = attachment.call("ADD", netns.path());
            assert_eq!(added.code, 0, "{key}: {}", added.stdout);
            remove_manifest(&attachment);
            assert_passes(&attachment, &netns, "has no manifest");
        }
    }
}

#[test]
fn a_pod_without_rules_gets_the_error_of_the_source() {
    let (attachment, netns) = redirected("auto");
    remove_manifest(&attachment);
    must(&netns, "nft flush ruleset");
    let (code, msg) = error(&attachment.call("CHECK", netns.path()));
    assert_eq!(code, 11, "{msg}");
    assert!(msg.contains("has no manifest"), "{msg}");
}

#[test]
fn incomplete_rules_are_drift() {
    for change in [
        "iptables-nft -t nat -F ISTIO_REDIRECT",
        "iptables-nft -t nat -D ISTIO_OUTPUT -j ISTIO_REDIRECT",
        "iptables-nft -t nat -D PREROUTING -p tcp -j ISTIO_INBOUND",
        "iptables-nft -t nat -D OUTPUT -p tcp -j ISTIO_OUTPUT",
        "iptables-nft -t nat -D ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
        "iptables-nft -t nat -D ISTIO_INBOUND -p tcp --dport 15021 -j RETURN",
        "iptables-nft -t nat -I ISTIO_OUTPUT -j ACCEPT",
    ] {
        let (attachment, netns) = redirected("auto");
        remove_manifest(&attachment);
        must(&netns, change);
        let (code, msg) = error(&attachment.call("CHECK", netns.path()));
        assert_eq!(code, 102, "{change}: {msg}");
        let named = msg.contains("the live rules are incomplete") && msg.contains("no manifest");
        assert!(named, "{change}: {msg}");
    }
}

#[test]
fn a_family_that_an_address_requires_is_not_optional() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    attachment.conf["prevResult"]["ips"] =
        json!([{"address": "fd00:99::2/64"}, {"address": "10.99.0.2/24"}]);
    assert_eq!(attachment.call("ADD", netns.path()).code, 0);
    remove_manifest(&attachment);
    assert_passes(&attachment, &netns, "has no manifest");
    must(&netns, "nft delete table ip6 nat");
    let (code, msg) = error(&attachment.call("CHECK", netns.path()));
    assert_eq!(code, 102, "{msg}");
    assert!(msg.contains("is missing"), "{msg}");
}

#[test]
fn an_excluded_namespace_needs_no_source() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    attachment.conf["pod_source"] = json!("agent");
    attachment.conf["exclude_namespaces"] = json!(["default"]);
    let checked = attachment.call("CHECK", netns.path());
    assert_eq!((checked.code, checked.stdout.as_str()), (0, ""));
}
