//! The rules that Kuma's own program wrote for some settings, as `iptables-save` printed them without
//! comments.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mesh_cni_netfilter::ruleset::{ChainName, Family, TableName};
use mesh_cni_netfilter::{parse, render};
use mesh_cni_rules::istio::interception::DnsCapture;
use mesh_cni_rules::kuma::Interception;
use serde_json::{Value, json};

use super::interception;

const OUTBOUND: &str = "
    -A KUMA_MESH_OUTBOUND -s 127.0.0.6/32 -o lo -j RETURN
    -A KUMA_MESH_OUTBOUND ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner 5678 -j KUMA_MESH_INBOUND_REDIRECT
    -A KUMA_MESH_OUTBOUND -o lo -p tcp -m owner ! --uid-owner 5678 -j RETURN
    -A KUMA_MESH_OUTBOUND -m owner --uid-owner 5678 -j RETURN
    -A KUMA_MESH_OUTBOUND -d 127.0.0.1/32 -j RETURN
";

const REDIRECTS: &str = "
    -A KUMA_MESH_OUTBOUND -j KUMA_MESH_OUTBOUND_REDIRECT
    -A KUMA_MESH_INBOUND_REDIRECT -p tcp -j REDIRECT --to-ports 15006
    -A KUMA_MESH_OUTBOUND_REDIRECT -p tcp -j REDIRECT --to-ports 15001
";

const JUMPS: &str = "
    -A PREROUTING -p tcp -j KUMA_MESH_INBOUND
    -A OUTPUT -p tcp -j KUMA_MESH_OUTBOUND
    -A KUMA_MESH_INBOUND -p tcp -j KUMA_MESH_INBOUND_REDIRECT
";

const ALL_QUERIES: &str = "
    raw -A PREROUTING -p udp -m udp --sport 53 -j CT --zone 1
    raw -A OUTPUT -p udp -m udp --dport 53 -m owner --uid-owner 5678 -j CT --zone 1
    raw -A OUTPUT -p udp -m udp --sport 15053 -m owner --uid-owner 5678 -j CT --zone 2
    raw -A OUTPUT -p udp -m udp --dport 53 -j CT --zone 2
";

const QUERIES: &str = "
    -A OUTPUT -p udp -m udp --dport 53 -m owner --uid-owner 5678 -j RETURN
    -A OUTPUT -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053
    -A OUTPUT -p tcp -m tcp --dport 53 -m owner ! --uid-owner 5678 -j RETURN
    -A OUTPUT -p tcp -j KUMA_MESH_OUTBOUND
";

/// The lines by table and chain, in their order.
fn by_chain(lines: &str) -> BTreeMap<(TableName, String), Vec<String>> {
    let mut chains: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (table, rule) = match line.split_once(" -A ") {
            Some((table, rule)) => (TableName::from_name(table).expect("a table"), rule),
            None => (TableName::Nat, line.strip_prefix("-A ").expect("a rule")),
        };
        let (chain, rule) = rule.split_once(' ').expect("a chain and a rule");
        let rules = chains.entry((table, chain.to_owned())).or_default();
        rules.push(rule.to_owned());
    }
    chains
}

/// Whether the chains of `expected` have exactly its rules.
fn assert_rules(interception: &Interception, family: Family, expected: &str) {
    let compiled = interception.compile(family).without_comments();
    for ((table, chain), lines) in by_chain(expected) {
        let mut text = format!("*{table}\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
        for name in [
            "INBOUND",
            "OUTBOUND",
            "INBOUND_REDIRECT",
            "OUTBOUND_REDIRECT",
        ] {
            writeln!(text, ":KUMA_MESH_{name} - [0:0]").unwrap();
        }
        for line in &lines {
            writeln!(text, "-A {chain} {line}").unwrap();
        }
        text += "COMMIT\n";
        let name = ChainName::new(&chain).expect("a chain");
        let expected = parse::save(&text, family).expect("iptables printed it");
        let expected = &expected
            .chain(table, &name)
            .expect("the chain has rules")
            .rules;
        let found = compiled.chain(table, &name).expect("the chain is compiled");
        let shown: Vec<_> = found.rules.iter().map(render::rule_spec).collect();
        assert_eq!(
            found.rules.len(),
            expected.len(),
            "{table} {chain}: {shown:#?}"
        );
        for (expected, found) in expected.iter().zip(&found.rules) {
            let wanted = render::rule_spec(expected);
            assert!(
                expected.is_equivalent(found),
                "{table} {chain}: {wanted}\n{shown:#?}"
            );
        }
    }
}

fn assert_v4(config: &Value, expected: &[&str]) {
    assert_rules(&interception(config), Family::V4, &expected.concat());
}

#[test]
fn without_settings() {
    assert_v4(&json!({}), &[JUMPS, OUTBOUND, REDIRECTS]);
    let compiled = Interception::pod_default().compile(Family::V4);
    assert_eq!(compiled.rule_count(), 11);
}

#[test]
fn all_queries() {
    let config = json!({"redirect": {"dns": {"enabled": true, "captureAll": true}}});
    assert_v4(&config, &[ALL_QUERIES, QUERIES, OUTBOUND, REDIRECTS]);
}

#[test]
fn queries_to_servers() {
    let mut interception = Interception::pod_default();
    let servers = ["10.96.0.10", "127.0.0.53"].map(|server| server.parse().unwrap());
    interception.dns = DnsCapture::Servers(servers.to_vec());
    let expected = "
        raw -A PREROUTING -s 10.96.0.10/32 -p udp -m udp --sport 53 -j CT --zone 1
        raw -A PREROUTING -s 127.0.0.53/32 -p udp -m udp --sport 53 -j CT --zone 1
        raw -A OUTPUT -p udp -m udp --dport 53 -m owner --uid-owner 5678 -j CT --zone 1
        raw -A OUTPUT -p udp -m udp --sport 15053 -m owner --uid-owner 5678 -j CT --zone 2
        raw -A OUTPUT -d 10.96.0.10/32 -p udp -m udp --dport 53 -j CT --zone 2
        raw -A OUTPUT -d 127.0.0.53/32 -p udp -m udp --dport 53 -j CT --zone 2
        raw -A OUTPUT -s 127.0.0.53/32 -d 127.0.0.1/32 -p udp -j CT --zone 1
        -A OUTPUT -p udp -m udp --dport 53 -m owner --uid-owner 5678 -j RETURN
        -A OUTPUT -d 10.96.0.10/32 -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053
        -A OUTPUT -d 127.0.0.53/32 -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053
        -A OUTPUT -p tcp -m tcp --dport 53 -m owner ! --uid-owner 5678 -j RETURN
        -A OUTPUT -p tcp -j KUMA_MESH_OUTBOUND
    ";
    assert_rules(&interception, Family::V4, expected);
    // No server is of that family, so no query is captured.
    let v6 = interception.compile(Family::V6);
    interception.dns = DnsCapture::Off;
    assert_eq!(v6, interception.compile(Family::V6));
}

/// The flags of a golden file of Kuma that sets all of them.
fn everything() -> Value {
    json!({
        "redirect": {
            "dns": {"enabled": true, "captureAll": true},
            "vnet": {"networks": ["docker0:172.17.0.0/16", "br+:172.18.0.1/16", "iface:::1/64"]},
            "inbound": {
                "excludePorts": "4444,55555",
                "excludePortsForIPs": [
                    "192.168.0.1,172.32.16.8/16", "fe80::/10",
                    "a81b:a033:6399:73c7:72b6:aa8c:6f22:7098"
                ]
            },
            "outbound": {
                "excludePorts": [1, "22,333"],
                "excludePortsForIPs": ["10.0.0.1", "192.168.0.0/24", "fe80::1", "fd00::/8"],
                "excludePortsForUIDs": ["tcp:53,3000-5000:106-108", "udp:53,3000-5000:106-108"]
            }
        }
    })
}

#[test]
fn everything_at_once() {
    let nat = "
        -A PREROUTING -i br+ -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053
        -A PREROUTING ! -d 172.18.0.0/16 -i br+ -p tcp -j REDIRECT --to-ports 15001
        -A PREROUTING -i docker0 -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053
        -A PREROUTING ! -d 172.17.0.0/16 -i docker0 -p tcp -j REDIRECT --to-ports 15001
        -A PREROUTING -p tcp -j KUMA_MESH_INBOUND
        -A OUTPUT -p tcp -m multiport --dports 53,3000:5000 -m owner --uid-owner 106-108 -j RETURN
        -A OUTPUT -p udp -m multiport --dports 53,3000:5000 -m owner --uid-owner 106-108 -j RETURN
        -A OUTPUT -d 10.0.0.1/32 -j RETURN
        -A OUTPUT -d 192.168.0.0/24 -j RETURN
    ";
    let own = "
        -A KUMA_MESH_INBOUND -s 192.168.0.1/32 -j RETURN
        -A KUMA_MESH_INBOUND -s 172.32.0.0/16 -j RETURN
        -A KUMA_MESH_INBOUND -p tcp -m tcp --dport 4444 -j RETURN
        -A KUMA_MESH_INBOUND -p tcp -m tcp --dport 55555 -j RETURN
        -A KUMA_MESH_INBOUND -p tcp -j KUMA_MESH_INBOUND_REDIRECT
        -A KUMA_MESH_OUTBOUND -p tcp -m tcp --dport 1 -j RETURN
        -A KUMA_MESH_OUTBOUND -p tcp -m tcp --dport 22 -j RETURN
        -A KUMA_MESH_OUTBOUND -p tcp -m tcp --dport 333 -j RETURN
    ";
    assert_v4(
        &everything(),
        &[ALL_QUERIES, nat, QUERIES, own, OUTBOUND, REDIRECTS],
    );
}

#[test]
fn everything_at_once_for_ipv6() {
    let nat = "
        -A PREROUTING -i iface -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053
        -A PREROUTING ! -d ::/64 -i iface -p tcp -j REDIRECT --to-ports 15001
        -A PREROUTING -p tcp -j KUMA_MESH_INBOUND
        -A OUTPUT -p tcp -m multiport --dports 53,3000:5000 -m owner --uid-owner 106-108 -j RETURN
        -A OUTPUT -p udp -m multiport --dports 53,3000:5000 -m owner --uid-owner 106-108 -j RETURN
        -A OUTPUT -d fe80::1/128 -j RETURN
        -A OUTPUT -d fd00::/8 -j RETURN
    ";
    let own = "
        -A KUMA_MESH_INBOUND -s fe80::/10 -j RETURN
        -A KUMA_MESH_INBOUND -s a81b:a033:6399:73c7:72b6:aa8c:6f22:7098/128 -j RETURN
        -A KUMA_MESH_INBOUND -p tcp -m tcp --dport 4444 -j RETURN
        -A KUMA_MESH_INBOUND -p tcp -m tcp --dport 55555 -j RETURN
        -A KUMA_MESH_INBOUND -p tcp -j KUMA_MESH_INBOUND_REDIRECT
        -A KUMA_MESH_OUTBOUND -p tcp -m tcp --dport 1 -j RETURN
        -A KUMA_MESH_OUTBOUND -p tcp -m tcp --dport 22 -j RETURN
        -A KUMA_MESH_OUTBOUND -p tcp -m tcp --dport 333 -j RETURN
    ";
    let outbound = OUTBOUND
        .replace("127.0.0.6/32", "::6/128")
        .replace("127.0.0.1/32", "::1/128");
    let expected = [ALL_QUERIES, nat, QUERIES, own, &outbound, REDIRECTS].concat();
    assert_rules(&interception(&everything()), Family::V6, &expected);
}

#[test]
fn log_and_inserted_outbound_without_inbound_and_zones() {
    let config = json!({
        "dropInvalidPackets": true,
        "log": {"enabled": true},
        "redirect": {
            "dns": {"enabled": true, "captureAll": true, "skipConntrackZoneSplit": true},
            "inbound": {"enabled": false},
            "outbound": {
                "insertRedirectInsteadOfAppend": true,
                "excludePortsForUIDs": ["tcp:80,443:1000", "udp::2000-2001", "3000"]
            }
        }
    });
    let expected = r#"
        mangle -A PREROUTING -m conntrack --ctstate INVALID -j DROP
        -A PREROUTING -j LOG --log-prefix "PREROUTING:" --log-level 7
        -A PREROUTING -p tcp -j KUMA_MESH_INBOUND
        -A OUTPUT -j LOG --log-prefix "OUTPUT:" --log-level 7
        -A OUTPUT -p tcp -m multiport --dports 80,443 -m owner --uid-owner 1000 -j RETURN
        -A OUTPUT -p udp -m multiport --dports 1:65535 -m owner --uid-owner 2000-2001 -j RETURN
        -A OUTPUT -p tcp -m multiport --dports 1:65535 -m owner --uid-owner 3000 -j RETURN
        -A OUTPUT -p udp -m multiport --dports 1:65535 -m owner --uid-owner 3000 -j RETURN
        -A OUTPUT -p udp -m udp --dport 53 -m owner --uid-owner 5678 -j RETURN
        -A OUTPUT -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053
        -A OUTPUT -p tcp -j KUMA_MESH_OUTBOUND
        -A OUTPUT -p tcp -m tcp --dport 53 -m owner ! --uid-owner 5678 -j RETURN
        -A KUMA_MESH_INBOUND -p tcp -j RETURN
    "#;
    assert_v4(&config, &[expected, OUTBOUND, REDIRECTS]);
    assert!(
        interception(&config)
            .compile(Family::V4)
            .table(TableName::Raw)
            .is_none()
    );
}

#[test]
fn included_ports() {
    let config = json!({
        "ipFamilyMode": "ipv4",
        "redirect": {
            "inbound": {
                "includePorts": "8080,8081",
                "excludePorts": 9001,
                "excludePortsForIPs": "10.1.0.0/16"
            },
            "outbound": {"includePorts": [80, 443], "excludePorts": 22}
        }
    });
    let inbound = "
        -A KUMA_MESH_INBOUND -s 10.1.0.0/16 -j RETURN
        -A KUMA_MESH_INBOUND -p tcp -m tcp --dport 8080 -j KUMA_MESH_INBOUND_REDIRECT
        -A KUMA_MESH_INBOUND -p tcp -m tcp --dport 8081 -j KUMA_MESH_INBOUND_REDIRECT
    ";
    let outbound = "
        -A KUMA_MESH_OUTBOUND -p tcp -m tcp --dport 80 -j KUMA_MESH_OUTBOUND_REDIRECT
        -A KUMA_MESH_OUTBOUND -p tcp -m tcp --dport 443 -j KUMA_MESH_OUTBOUND_REDIRECT
    ";
    assert_v4(&config, &[inbound, OUTBOUND, outbound]);
    let addresses = ["10.0.0.7", "fd00::7"].map(|address| address.parse().unwrap());
    assert_eq!(interception(&config).families(&addresses), [Family::V4]);
}

#[test]
fn inserted_inbound_comes_before_the_log() {
    let config = json!({
        "log": {"enabled": true, "level": 3},
        "redirect": {"inbound": {"insertRedirectInsteadOfAppend": true}, "outbound": {"enabled": false}}
    });
    let expected = r#"
        -A PREROUTING -p tcp -j KUMA_MESH_INBOUND
        -A PREROUTING -j LOG --log-prefix "PREROUTING:" --log-level 3
        -A OUTPUT -j LOG --log-prefix "OUTPUT:" --log-level 3
        -A OUTPUT -p tcp -j KUMA_MESH_OUTBOUND
        -A KUMA_MESH_OUTBOUND -p tcp -j RETURN
    "#;
    assert_v4(&config, &[expected]);
}
