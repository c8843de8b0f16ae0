//! Settings that refuse a pod, and those that cause a warning.

use std::error::Error;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_rules::Warning;
use mesh_cni_rules::kuma::{CONFIG_ANNOTATION, PodSettings, config};
use serde_json::{Value, json};

use super::{assert_refusals, resolved};
use crate::support::annotations;

fn refusal(config: &Value) -> String {
    let settings = PodSettings {
        config: Some(config),
        ..PodSettings::default()
    };
    let error = settings.resolve().expect_err("the settings are not valid");
    let source = error.source().expect("the error has a source");
    format!("{error}: {source}")
}

#[test]
fn a_refusal_names_the_field_the_value_and_the_reason() {
    let configs = [
        json!({"dryRun": true}),
        json!({"comments": {"disabled": true}}),
        json!({"ebpf": {"enabled": true}}),
        json!({"storeFirewalld": true}),
        json!({"redirect": {"inbound": {"excludePortsForUIDs": ["1000"]}}}),
        json!({"redirect": {"dns": {"enabled": true}}}),
        json!({"redirect": {"dns": {"enabled": true, "captureAll": true, "port": 0}}}),
        json!({"redirect": {"dns": {"port": 0}, "vnet": {"networks": ["docker0:172.17.0.0/16"]}}}),
        json!({"kumaDPUser": "kuma-dp"}),
        json!({"ipFamilyMode": "IPv4"}),
        json!({"redirect": {"inbound": {"port": "15006"}}}),
        json!({"redirect": {"inbound": {"port": 0}}}),
        json!({"redirect": {"outbound": {"port": 65536}}}),
        json!({"redirect": {"inbound": {"enabled": "yes"}}}),
        json!({"redirect": {"inbound": []}}),
        json!({"redirect": {"inbound": {"excludePorts": [80, "443,8000-8100"]}}}),
        json!({"redirect": {"inbound": {"includePorts": "0"}}}),
        json!({"redirect": {"outbound": {"excludePortsForIPs": ["10.0.0.1,10.0.0.0/33"]}}}),
        json!({"redirect": {"outbound": {"excludePorts": [[80]]}}}),
        json!({"redirect": {"outbound": {"excludePorts": true}}}),
        json!({"redirect": {"outbound": {"excludePortsForUIDs": ["1000", "tcp:80:70000"]}}}),
        json!({"redirect": {"outbound": {"excludePortsForUIDs": ["tcp:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15-16:1000"]}}}),
        json!({"redirect": {"vnet": {"networks": ["docker0"]}}}),
        json!({"redirect": {"vnet": {"networks": ["docker0:172.17.0.0"]}}}),
        json!({"redirect": {"vnet": {"networks": ["a b:172.17.0.0/16"]}}}),
        json!({"log": {"level": 8}}),
        json!({"dropInvalidPackets": 1}),
        json!(["redirect"]),
    ];
    let refusals: Vec<_> = configs.iter().map(refusal).collect();
    assert_refusals("kuma-refusals", &refusals);
}

#[test]
fn a_port_of_dns_may_be_0_where_dns_is_off() {
    let interception = resolved(&json!({"redirect": {"dns": {"port": 0}}})).interception;
    assert_eq!(interception.dns_port.get(), 15053);
}

#[test]
fn an_annotation_without_a_document_is_not_readable() {
    let read = |text: &str| {
        let annotations = annotations(&[(CONFIG_ANNOTATION, text)]);
        config(&annotations)
    };
    assert_eq!(read(""), Ok(None));
    assert_eq!(read(" \n"), Ok(None));
    assert_eq!(config(&annotations(&[])), Ok(None));
    let found = read("redirect:\n  inbound: {port: 15006}").unwrap();
    assert_eq!(
        found,
        Some(json!({"redirect": {"inbound": {"port": 15006}}}))
    );
    for text in [
        "a: [1",
        "a: 1\n---\nb: 2",
        &"- ".repeat(100),
        &"[".repeat(300_000),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.to_string().contains(CONFIG_ANNOTATION), "{error}");
        assert!(error.source().is_some());
    }
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let config = json!({
        "wait": 5, "waitInterval": 0, "verbose": false, "cniMode": true, "kumaDPUser": "",
        "retry": {"maxRetries": 4, "sleepBetweenRetries": "2s"},
        "iptablesExecutables": {"iptables": ""},
        "ebpf": {"enabled": false, "bpffsPath": "/run/kuma/bpf"},
        "redirct": {},
        "redirect": {
            "dns": {"resolvConfigPath": "/etc/resolv.conf"},
            "inbound": {"includePorts": "80", "excludePorts": "9001,9901,22", "excludePort": 1},
            "outbound": {"excludePorts": "22"},
            "vnet": {"networks": ["docker0:172.17.0.0/16", "docker0:172.18.0.0/16", "docker0:fd00::/64"]}
        }
    });
    let warnings: Vec<_> = resolved(&config)
        .warnings
        .iter()
        .map(Warning::to_string)
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @r"
    field redirect.vnet.networks of annotation traffic.kuma.io/transparent-proxy-config: `docker0:172.17.0.0/16` has no effect: Kuma has one network for each interface, and `docker0:172.18.0.0/16` is after it [setting-without-effect]
    field redirct of annotation traffic.kuma.io/transparent-proxy-config is not a setting and has no effect [unknown-setting]
    field redirect.inbound.excludePort of annotation traffic.kuma.io/transparent-proxy-config is not a setting and has no effect [unknown-setting]
    field redirect.inbound.excludePorts of annotation traffic.kuma.io/transparent-proxy-config has no effect: only the included ports are captured [setting-without-effect]
    ");
    let injected = json!({
        "redirect": {"inbound": {"includePorts": "80", "excludePorts": "9001"}}
    });
    assert_eq!(resolved(&injected).warnings, []);
}

#[test]
fn dns_zones_lose_the_answers_to_virtual_networks() {
    let warnings = |skip: bool| {
        let dns = json!({"enabled": true, "captureAll": true, "skipConntrackZoneSplit": skip});
        let vnet = json!({"networks": ["docker0:172.17.0.0/16"]});
        let warnings = resolved(&json!({"redirect": {"dns": dns, "vnet": vnet}})).warnings;
        warnings.iter().map(Warning::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warnings(true), Vec::<String>::new());
    insta::assert_snapshot!(warnings(false).join("\n"), @"field redirect.vnet.networks of annotation traffic.kuma.io/transparent-proxy-config: answers to DNS queries of a virtual network are lost; set redirect.dns.skipConntrackZoneSplit to true [setting-without-effect]");
}

#[test]
fn excluded_addresses_of_a_family_without_rules_are_a_warning() {
    let config = json!({
        "redirect": {"outbound": {"excludePortsForIPs": ["10.0.0.0/8,fd00::/8", "fd01::/16"]}}
    });
    let settings = PodSettings {
        config: Some(&config),
        ..PodSettings::default()
    };
    let interception = settings.resolve().unwrap().interception;
    assert_eq!(settings.check_families(&interception, &Family::ALL), []);
    let warnings = settings.check_families(&interception, &[Family::V4]);
    let warnings: Vec<_> = warnings.iter().map(Warning::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"field redirect.outbound.excludePortsForIPs of annotation traffic.kuma.io/transparent-proxy-config: `fd00::/8` has no effect: the pod gets no IPv6 rules [setting-without-effect]");
}

#[test]
fn too_many_rules_name_the_longest_list() {
    let ports: Vec<_> = (1..=2500).collect();
    let config = json!({"redirect": {"inbound": {"excludePorts": "1,2"}, "outbound": {"excludePorts": ports}}});
    let settings = PodSettings {
        config: Some(&config),
        ..PodSettings::default()
    };
    let interception = settings.resolve().unwrap().interception;
    let rules = [interception.compile(Family::V4)];
    let error = settings
        .check_rule_count(&interception, &rules)
        .unwrap_err();
    insta::assert_snapshot!(error, @"2513 rules are more than the limit of 2000 for one pod: field redirect.outbound.excludePorts of annotation traffic.kuma.io/transparent-proxy-config causes 2500 of them");
}
