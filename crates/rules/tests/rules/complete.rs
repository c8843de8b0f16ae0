//! Rules whose settings are not known: complete ones, and those with a missing or another rule.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::{Match, Port, Rule, TableName, Target};
use mesh_cni_rules::istio::interception::{DnsCapture, Mode, OutboundRanges};
use mesh_cni_rules::istio::{Dialect, Interception, TPROXY_ROUTING, chains, compile};
use mesh_cni_rules::reject_ipv6;
use mesh_cni_rules::{Mesh, incomplete};

/// The rule sets of several settings, in both dialects and families.
fn complete() -> Vec<RuleSet> {
    let plain = Interception::pod_default();
    let mut tproxy = plain.clone();
    tproxy.mode = Mode::Tproxy(TPROXY_ROUTING);
    tproxy.drop_invalid = true;
    let mut dns = plain.clone();
    dns.dns = DnsCapture::All;
    dns.exclude_interfaces = vec!["eth1".parse().unwrap()];
    let mut ranges = plain.clone();
    let included = ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().unwrap());
    ranges.outbound_ranges = OutboundRanges::Only(included.to_vec());
    ranges.reroute_interfaces = vec!["net1".parse().unwrap()];
    let mut loopback = plain.clone();
    loopback.outbound_ranges = OutboundRanges::Only(vec!["127.0.0.0/8".parse().unwrap()]);
    loopback.outbound_ports = vec![Port::constant(80).into()];
    let mut loopback_of_ipv6 = ranges.clone();
    let included = ["10.0.0.0/8", "::1/128"].map(|range| range.parse().unwrap());
    loopback_of_ipv6.outbound_ranges = OutboundRanges::Only(included.to_vec());
    loopback_of_ipv6.outbound_ports = vec![Port::constant(80).into()];
    let mut all = Vec::new();
    for interception in [plain, tproxy, dns, ranges, loopback, loopback_of_ipv6] {
        for dialect in [Dialect::Asm, Dialect::Istio] {
            all.extend(Family::ALL.map(|family| compile(&interception, dialect, family)));
        }
    }
    all.push(reject_ipv6());
    all
}

#[test]
fn a_whole_rule_set_is_complete() {
    for rules in complete() {
        assert_eq!(incomplete(Mesh::Istio, &rules), None, "{rules:#?}");
    }
}

#[test]
fn no_rules_are_incomplete() {
    for family in Family::ALL {
        let difference = incomplete(Mesh::Istio, &RuleSet::new(family))
            .unwrap()
            .to_string();
        assert!(difference.contains("is missing"), "{difference}");
    }
}

#[test]
fn a_missing_rule_that_refuses_ipv6_is_noticed() {
    let rules = reject_ipv6();
    for chain in &rules.tables[0].chains {
        for at in 0..chain.rules.len() {
            let mut found = rules.clone();
            let changed = found
                .table_mut(TableName::Filter)
                .chain_mut(chain.name.clone());
            changed.rules.remove(at);
            assert!(
                incomplete(Mesh::Istio, &found).is_some(),
                "{} {at}",
                chain.name
            );
        }
    }
}

/// Each rule except those that an annotation adds is required.
#[test]
fn a_missing_rule_is_noticed() {
    let status_port = Rule::new(
        [
            Match::Protocol(
                mesh_cni_netfilter::Sense::Is,
                mesh_cni_netfilter::Protocol::Tcp,
            ),
            Match::DestinationPort(mesh_cni_netfilter::Sense::Is, Port::constant(15020).into()),
        ],
        Target::Return,
    );
    let rules = compile(&Interception::pod_default(), Dialect::Asm, Family::V4);
    let chains = rules.tables.iter().flat_map(|table| &table.chains);
    let places = chains.flat_map(|chain| (0..chain.rules.len()).map(|at| (chain.name.clone(), at)));
    let mut unnoticed = Vec::new();
    for (chain, at) in places {
        let mut found = rules.clone();
        let removed = found
            .table_mut(TableName::Nat)
            .chain_mut(chain.clone())
            .rules
            .remove(at);
        if incomplete(Mesh::Istio, &found).is_none() {
            unnoticed.push((chain, removed));
        }
    }
    assert_eq!(unnoticed, [(chains::OUTPUT_RULES, status_port)]);
}

#[test]
fn a_rule_that_no_setting_adds_is_noticed() {
    for (chain, target) in [
        (chains::OUTPUT_RULES, Target::Accept),
        (chains::INBOUND, Target::Drop),
        (chains::REDIRECT, Target::Return),
    ] {
        for rules in complete() {
            let mut found = rules.clone();
            let rule = Rule::new([], target.clone());
            found.insert(TableName::Nat, chain.clone(), 1, rule);
            assert!(
                incomplete(Mesh::Istio, &found).is_some(),
                "{chain}: {rules:#?}"
            );
        }
    }
}
