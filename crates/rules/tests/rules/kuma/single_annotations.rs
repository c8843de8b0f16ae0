//! The single annotations of Kuma 2.

use std::error::Error;

use mesh_cni_netfilter::Port;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_rules::istio::interception::DnsCapture;
use mesh_cni_rules::kuma::{Interception, PodSettings};
use serde_json::json;

use super::{assert_refusals, interception};
use crate::support::annotations;

fn from(pairs: &[(&str, &str)]) -> Interception {
    let annotations = annotations(pairs);
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    settings.resolve().expect("valid annotations").interception
}

fn numbers(ports: &[Port]) -> Vec<u16> {
    ports.iter().map(|port| port.get()).collect()
}

#[test]
fn without_any_the_ports_of_the_proxy_are_excluded() {
    let without = from(&[]);
    assert_eq!(numbers(&without.inbound.exclude_ports), [9901, 9001]);
    assert_eq!(numbers(&without.outbound.exclude_ports), [9901]);
    let inbound = |pairs: &[(&str, &str)]| numbers(&from(pairs).inbound.exclude_ports);
    let excluded = "traffic.kuma.io/exclude-inbound-ports";
    let probes = "kuma.io/application-probe-proxy-port";
    assert_eq!(inbound(&[(excluded, "")]), [9001]);
    assert_eq!(inbound(&[(excluded, "22, 9001")]), [22, 9001]);
    assert_eq!(inbound(&[(probes, "0")]), [9901]);
    assert_eq!(inbound(&[(excluded, "22"), (probes, "9100")]), [22, 9100]);
}

#[test]
fn each_has_the_effect_of_its_field() {
    let annotations = from(&[
        ("kuma.io/transparent-proxying-outbound-port", "25001"),
        ("kuma.io/transparent-proxying-inbound-port", "25006"),
        ("kuma.io/transparent-proxying-ip-family-mode", "ipv4"),
        ("kuma.io/gateway", "enabled"),
        ("kuma.io/builtin-dns", "true"),
        ("kuma.io/builtin-dns-port", "25053"),
        ("kuma.io/sidecar-uid", "1234"),
        ("kuma.io/application-probe-proxy-port", "0"),
        ("traffic.kuma.io/exclude-inbound-ports", "80,81"),
        ("traffic.kuma.io/exclude-outbound-ports", "443"),
        (
            "traffic.kuma.io/exclude-outbound-ports-for-uids",
            "tcp:22:1000;2000-2001",
        ),
        ("traffic.kuma.io/exclude-inbound-ips", "10.0.0.1,fd00::/8"),
        ("traffic.kuma.io/exclude-outbound-ips", "10.0.0.0/8"),
        ("traffic.kuma.io/drop-invalid-packets", "TRUE"),
        ("traffic.kuma.io/iptables-logs", "Enabled"),
    ]);
    let config = json!({
        "kumaDPUser": "1234",
        "ipFamilyMode": "ipv4",
        "redirect": {
            "inbound": {
                "enabled": false, "port": 25006, "excludePorts": "80,81",
                "excludePortsForIPs": "10.0.0.1,fd00::/8"
            },
            "outbound": {
                "port": 25001, "excludePorts": "443", "excludePortsForIPs": "10.0.0.0/8",
                "excludePortsForUIDs": ["tcp:22:1000", "2000-2001"]
            },
            "dns": {"enabled": true, "captureAll": true, "port": 25053}
        },
        "dropInvalidPackets": true,
        "log": {"enabled": true}
    });
    assert_eq!(annotations, interception(&config));
    assert_ne!(annotations.dns, DnsCapture::Off);
    assert_eq!(annotations.compile(Family::V4).rule_count(), 26);
}

#[test]
fn an_invalid_one_refuses_the_pod() {
    let refusals = [
        ("kuma.io/transparent-proxying-outbound-port", "0"),
        ("kuma.io/transparent-proxying-inbound-port", "http"),
        ("kuma.io/transparent-proxying-ip-family-mode", "ipv6"),
        ("kuma.io/gateway", "builtin"),
        ("kuma.io/builtin-dns", ""),
        ("kuma.io/builtin-dns-port", "0"),
        ("kuma.io/sidecar-uid", "kuma"),
        ("kuma.io/application-probe-proxy-port", "-1"),
        ("traffic.kuma.io/exclude-inbound-ports", "80,http"),
        ("traffic.kuma.io/exclude-outbound-ports", "80,"),
        (
            "traffic.kuma.io/exclude-outbound-ports-for-uids",
            "1000;tcp:80:1,2",
        ),
        ("traffic.kuma.io/exclude-inbound-ips", "10.0.0.1,app"),
        ("traffic.kuma.io/exclude-outbound-ips", "10.0.0.0/40"),
        ("traffic.kuma.io/drop-invalid-packets", "1"),
        ("traffic.kuma.io/iptables-logs", "on"),
    ]
    .map(|pair| {
        let annotations = annotations(&[pair]);
        let settings = PodSettings {
            annotations: Some(&annotations),
            ..PodSettings::default()
        };
        let error = settings.resolve().expect_err("the value is not valid");
        let source = error.source().expect("the error has a source");
        format!("{error}: {source}")
    });
    assert_refusals("kuma-annotation-refusals", &refusals);
}
