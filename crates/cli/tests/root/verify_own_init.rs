//! `verify` of pods whose own init container applies the rules.

use std::path::Path;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, apply};
use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, OutboundRanges};
use mesh_cni_rules::istio::{Dialect, Interception, compile};
use mesh_cni_rules::{Mesh, kuma};

use crate::machine::{exclusive, mesh_cnictl, output, stderr};
use crate::scratch::Scratch;

const DNS: &str = include_str!("../pods/istio-init-dns-capture.yaml");
const TRAILING_COMMA: &str = include_str!("../pods/istio-init-trailing-comma.yaml");
const LINKERD: &str = include_str!("../pods/linkerd-init.yaml");
const KUMA: &str = include_str!("../pods/kuma-init.yaml");

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

/// A namespace with the rules of linkerd2-proxy-init, by the commands that it runs: without comments
/// and with the ports in another order than its arguments.
fn namespace_of_linkerd_init() -> Scratch {
    let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
    for rule in [
        "-N PROXY_INIT_REDIRECT",
        "-A PROXY_INIT_REDIRECT -p tcp -m multiport --dports 4191,4190,4567,4568 -j RETURN",
        "-A PROXY_INIT_REDIRECT -p tcp -j REDIRECT --to-ports 4143",
        "-A PREROUTING -j PROXY_INIT_REDIRECT",
        "-N PROXY_INIT_OUTPUT",
        "-A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -j RETURN",
        "-A PROXY_INIT_OUTPUT -o lo -j RETURN",
        "-A PROXY_INIT_OUTPUT -p tcp -m multiport --dports 4567,4568 -j RETURN",
        "-A PROXY_INIT_OUTPUT -p tcp -j REDIRECT --to-ports 4140",
        "-A OUTPUT -j PROXY_INIT_OUTPUT",
    ] {
        let rule: Vec<_> = rule.split(' ').collect();
        scratch.inside(&[&["iptables-nft", "-t", "nat"], &rule[..]].concat());
    }
    scratch
}

#[test]
fn the_rules_of_linkerd_init_are_compared_with_its_arguments() {
    let _lock = exclusive();
    let scratch = namespace_of_linkerd_init();
    let (code, text) = verify(&scratch, LINKERD);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("the pod's linkerd-init container applies its rules"),
        "{text}"
    );
    for (from, to) in [
        ("\"4567,4568\"", "\"4567\""),
        ("\"2102\"", "\"2103\""),
        ("--ipv6=false", "--ipv6=true"),
        ("\"4143\"", "\"4144\""),
    ] {
        let (code, text) = verify(&scratch, &LINKERD.replace(from, to));
        assert_eq!(code, Some(1), "{to}: {text}");
        assert!(text.contains("kubectl logs POD -c linkerd-init"), "{text}");
    }
    for (to, words) in [
        ("--nonsense", "unexpected argument '--nonsense'"),
        (
            "--subnets-to-ignore=10.1.2",
            "flag --subnets-to-ignore = `10.1.2`",
        ),
    ] {
        let (code, text) = verify(&scratch, &LINKERD.replace("--ipv6=false", to));
        assert_eq!(code, Some(3), "{text}");
        for words in [words, "its linkerd-init container", "nothing was compared"] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
    scratch.inside(&["iptables-nft", "-t", "nat", "-D", "PROXY_INIT_OUTPUT", "2"]);
    let (code, text) = verify(&scratch, LINKERD);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("chain PROXY_INIT_OUTPUT"), "{text}");
}

fn namespace_of_kuma_init(kuma: &kuma::Interception) -> Scratch {
    let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
    let netns = NetNs::open(Path::new(&scratch.path())).unwrap();
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let rules = [kuma.compile(Family::V4)];
    apply(&netns, &xtables, BackendChoice::Auto, Mesh::Kuma, &rules).unwrap();
    scratch
}

#[test]
fn the_rules_of_kuma_init_are_compared_with_the_annotations() {
    let _lock = exclusive();
    let mut kuma = kuma::Interception::pod_default();
    kuma.dual_stack = false;
    kuma.inbound.exclude_ports = vec!["9001".parse().unwrap()];
    kuma.outbound.port = "15011".parse().unwrap();
    kuma.dns = DnsCapture::All;
    let scratch = namespace_of_kuma_init(&kuma);
    let (code, text) = verify(&scratch, KUMA);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("the pod's kuma-init container applies its rules"),
        "{text}"
    );
    let (code, text) = verify(&scratch, &KUMA.replace("15011", "15001"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("kubectl logs POD -c kuma-init"), "{text}");
    let variable = "name: kuma-init\n    env: [{name: KUMA_TRANSPARENT_PROXY_WAIT, value: \"1\"}]";
    let (code, text) = verify(&scratch, &KUMA.replace("name: kuma-init", variable));
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("environment KUMA_TRANSPARENT_PROXY_WAIT is ignored"),
        "{text}"
    );
    scratch.inside(&["iptables-nft", "-t", "nat", "-F", "KUMA_MESH_INBOUND"]);
    assert_eq!(verify(&scratch, KUMA).0, Some(1));
}

/// Without `captureAll` the rules name the servers in the container's `/etc/resolv.conf`, which only
/// they show.
#[test]
fn the_rules_of_kuma_init_may_capture_any_servers() {
    let _lock = exclusive();
    let pod = KUMA.replace("captureAll: true", "captureAll: false");
    let mut kuma = kuma::Interception::pod_default();
    kuma.dual_stack = false;
    kuma.inbound.exclude_ports = vec!["9001".parse().unwrap()];
    kuma.outbound.port = "15011".parse().unwrap();
    let servers =
        ["10.96.0.10", "169.254.20.10", "127.0.0.53"].map(|server| server.parse().unwrap());
    for servers in [&servers[..1], &servers] {
        kuma.dns = DnsCapture::Servers(servers.to_vec());
        let scratch = namespace_of_kuma_init(&kuma);
        let (code, text) = verify(&scratch, &pod);
        assert_eq!(code, Some(0), "{text}");
        let (code, text) = verify(&scratch, KUMA);
        assert_eq!(
            code,
            Some(1),
            "the rules do not capture all queries: {text}"
        );
        // The zone of the first server's answers.
        scratch.inside(&["iptables-nft", "-t", "raw", "-D", "PREROUTING", "1"]);
        let (code, text) = verify(&scratch, &pod);
        assert_eq!(code, Some(1), "{text}");
    }
    kuma.dns = DnsCapture::Off;
    let scratch = namespace_of_kuma_init(&kuma);
    let (code, text) = verify(&scratch, &pod);
    assert_eq!(code, Some(3), "no rule shows a server: {text}");
    for words in [
        "its kuma-init container",
        "the DNS servers of the pod are not known",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
