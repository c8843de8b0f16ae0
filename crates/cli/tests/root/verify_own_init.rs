//! `verify` of pods whose own `istio-init` applies the rules.

use std::path::Path;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, apply};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, OutboundRanges};
use mesh_cni_rules::istio::{Dialect, Interception, compile};

use crate::machine::{exclusive, mesh_cnictl, output, stderr};
use crate::scratch::Scratch;

const DNS: &str = include_str!("../pods/istio-init-dns-capture.yaml");
const TRAILING_COMMA: &str = include_str!("../pods/istio-init-trailing-comma.yaml");

/// The rules that the container applies for its usual arguments, before a change.
fn usual() -> Interception {
    let ports = ["15090", "15021", "15020"].map(|port| port.parse().unwrap());
    let mut usual = Interception::command_default();
    usual.inbound = InboundCapture::AllExcept(ports.into());
    usual.outbound_ranges = OutboundRanges::All;
    usual
}

fn namespace_with(interception: &Interception, dialect: Dialect) -> Scratch {
    let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
    let netns = NetNs::open(Path::new(&scratch.path())).unwrap();
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let rules = [compile(interception, dialect, Family::V4)];
    apply(&netns, &xtables, BackendChoice::Auto, Mesh::Istio, &rules).unwrap();
    scratch
}

/// The exit code and stderr of `verify` with that manifest.
fn verify(scratch: &Scratch, manifest: &str) -> (Option<i32>, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let manifest = file.path().display().to_string();
    let path = scratch.path();
    let arguments = ["verify", "--cni-conf-dir", "/nonexistent", "--netns", &path];
    let ended = output(&mut mesh_cnictl(
        &[&arguments[..], &["--manifest", &manifest]].concat(),
    ));
    (ended.status.code(), stderr(&ended))
}

#[test]
fn dns_capture_is_compared_with_the_servers_of_the_live_rules() {
    let _lock = exclusive();
    let mut dns = usual();
    for servers in [
        &["10.96.0.10"][..],
        &["10.96.0.10", "169.254.20.10"],
        &["fd00::a"],
    ] {
        let addresses = servers.iter().map(|server| server.parse().unwrap());
        dns.dns = DnsCapture::Servers(addresses.collect());
        let scratch = namespace_with(&dns, Dialect::Istio);
        let (code, text) = verify(&scratch, DNS);
        assert_eq!(code, Some(0), "{servers:?}: {text}");
        scratch.inside(&["iptables-nft", "-t", "raw", "-F", "ISTIO_OUTPUT_DNS"]);
        let (code, text) = verify(&scratch, DNS);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("kubectl logs POD -c istio-init"), "{text}");
    }
}

#[test]
fn lists_with_empty_items_are_those_without() {
    let _lock = exclusive();
    let mut lists = usual();
    let ports = ["15090", "15021"].map(|port| port.parse().unwrap());
    lists.inbound = InboundCapture::AllExcept(ports.into());
    lists.outbound_ranges = OutboundRanges::Only(Vec::new());
    lists.outbound_ports = vec!["8080".parse().unwrap()];
    for dialect in [Dialect::Istio, Dialect::Asm] {
        let (code, text) = verify(&namespace_with(&lists, dialect), TRAILING_COMMA);
        assert_eq!(code, Some(0), "{dialect}: {text}");
    }
    let (code, text) = verify(&namespace_with(&usual(), Dialect::Istio), TRAILING_COMMA);
    assert_eq!(code, Some(1), "{text}");
}

#[test]
fn ranges_of_ports_are_compared() {
    let _lock = exclusive();
    let manifest = TRAILING_COMMA.replace("15090,15021,", "15090,15021,10000:20000");
    let manifest = manifest.replace("-q, \"8080\"", "-q, \"8080:8090\"");
    let mut ranges = usual();
    let ports = ["15090", "15021", "10000:20000"].map(|port| port.parse().unwrap());
    ranges.inbound = InboundCapture::AllExcept(ports.into());
    ranges.outbound_ranges = OutboundRanges::Only(Vec::new());
    ranges.outbound_ports = vec!["8080:8090".parse().unwrap()];
    for dialect in [Dialect::Istio, Dialect::Asm] {
        let scratch = namespace_with(&ranges, dialect);
        let (code, text) = verify(&scratch, &manifest);
        assert_eq!(code, Some(0), "{dialect}: {text}");
        let rule = ["-p", "tcp", "--dport", "10000:20000", "-j", "RETURN"];
        let delete = ["iptables-nft", "-t", "nat", "-D", "ISTIO_INBOUND"];
        scratch.inside(&[&delete[..], &rule[..]].concat());
        let (code, text) = verify(&scratch, &manifest);
        assert_eq!(code, Some(1), "{dialect}: {text}");
        assert!(text.contains("--dport 10000:20000"), "{text}");
    }
}

#[test]
fn a_container_that_cannot_be_judged_is_not_called_broken() {
    let _lock = exclusive();
    let group = "{name: ISTIO_OUTBOUND_OWNER_GROUPS, value: java}";
    for (change, words) in [
        ("{name: ISTIO_META_DNS_AUTO_ALLOCATE, value: \"true\"}", ""),
        (
            group,
            "cannot read /etc/group: /etc/group is inside the container",
        ),
        (
            "{name: NATIVE_NFTABLES, value: \"true\"}",
            "native nftables rules",
        ),
        ("{name: ISTIO_INBOUND_PORTS, value: http}", "not a port"),
    ] {
        let manifest = DNS
            .replace(
                "{name: ISTIO_META_DNS_AUTO_ALLOCATE, value: \"true\"}",
                change,
            )
            .replace(", -b, \"*\"", "");
        let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
        let (code, text) = verify(&scratch, &manifest);
        let expected = if words.is_empty() { 1 } else { 3 };
        assert_eq!(code, Some(expected), "{change}: {text}");
        assert!(text.contains(words), "{text}");
        if !words.is_empty() {
            assert_eq!(
                text.matches("its istio-init container").count(),
                1,
                "{text}"
            );
            assert!(text.contains("nothing was compared"), "{text}");
        }
    }
}
