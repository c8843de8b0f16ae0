//! Rules of Kuma are complete without knowledge of the settings, and each missing part is noticed.

use mesh_cni_netfilter::{Family, RuleSet};
use mesh_cni_rules::{Mesh, incomplete};
use serde_json::{Value, json};

use super::rules;

/// Settings that change the rules of TCP in every way, and some for everything else.
fn settings() -> [Value; 5] {
    [
        json!({}),
        json!({"redirect": {
            "inbound": {"port": 16006, "excludePorts": [22, 9090], "excludePortsForIPs": ["10.0.0.0/8"],
                "insertRedirectInsteadOfAppend": true},
            "outbound": {"port": 16001, "excludePorts": [3306], "excludePortsForIPs": ["172.16.0.0/12"],
                "excludePortsForUIDs": ["tcp:443:1000"]},
            "dns": {"enabled": true, "captureAll": true},
            "vnet": {"networks": ["docker0:172.17.0.0/16"]},
        }, "kumaDPUser": "5000", "dropInvalidPackets": true, "log": {"enabled": true}}),
        json!({"redirect": {
            "inbound": {"includePorts": [80, 443]}, "outbound": {"includePorts": [8080]},
        }}),
        json!({"redirect": {"inbound": {"enabled": false}}}),
        json!({"redirect": {"outbound": {"enabled": false}}}),
    ]
}

/// The rules without those whose comment ends with these words.
fn without(rules: &RuleSet, comment: &str) -> RuleSet {
    let mut rules = rules.clone();
    for chain in rules.tables.iter_mut().flat_map(|table| &mut table.chains) {
        chain
            .rules
            .retain(|rule| !rule.comments()[0].ends_with(comment));
    }
    rules
}

#[test]
fn the_rules_of_any_settings_are_complete() {
    for config in settings() {
        for family in Family::ALL {
            let rules = rules(&config, family);
            assert_eq!(incomplete(Mesh::Kuma, &rules), None, "{config} {family}");
        }
    }
}

#[test]
fn every_part_of_the_redirection_is_needed() {
    let rules = rules(&settings()[1], Family::V4);
    for needed in [
        "inbound TCP",
        "outbound TCP",
        "all other TCP",
        "the proxy to the application",
        "the proxy to its own pod: inbound again",
        "the application to itself",
        "traffic of the proxy",
        "traffic to the loopback address",
        "to the inbound port of the proxy",
        "to the outbound port of the proxy",
    ] {
        let found = without(&rules, needed);
        assert_ne!(found, rules, "{needed}");
        assert!(incomplete(Mesh::Kuma, &found).is_some(), "{needed}");
    }
}

#[test]
fn what_another_setting_explains_is_not_noticed() {
    let rules = rules(&settings()[1], Family::V4);
    for optional in [
        "excluded ports",
        "excluded sources",
        "excluded destinations",
        "log packets",
    ] {
        let found = without(&rules, optional);
        assert_ne!(found, rules, "{optional}");
        assert_eq!(incomplete(Mesh::Kuma, &found), None, "{optional}");
    }
}
