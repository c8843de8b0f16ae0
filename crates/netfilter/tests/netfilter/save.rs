//! Saved rules: parsed without loss, with unknown parts as text. Invalid ones are refused.

use std::error::Error;

use mesh_cni_netfilter::{Family, Match, Rule, Target, parse, render};

use crate::support::{assert_snapshot, saved};

/// The output of `iptables-nft-save -c` 1.8.9 in a namespace with Docker's DNS chain and all kinds
/// of rules that this crate knows.
const SAVED: &str = include_str!("../data/iptables-save.v4.txt");

fn flat(text: &str) -> Vec<Rule> {
    let chains = saved(text)
        .tables
        .into_iter()
        .flat_map(|table| table.chains);
    chains.flat_map(|chain| chain.rules).collect()
}

#[test]
fn ports_are_typed_only_in_rules_for_one_protocol_that_has_ports() {
    for (conditions, is_typed) in [
        ("-p tcp -m tcp --dport 53", true),
        ("-p udp -m udp --sport 53", true),
        ("-p tcp -m multiport --dports 53,80", true),
        ("-m tcp --dport 53", false),
        ("-m multiport ! --dports 53,1 ! --dport 53", false),
        ("! -p tcp -m udp --dport 53", false),
        ("-p ipv6-icmp --sport 53", false),
        ("--tcp-flags FIN,SYN,RST,ACK SYN", false),
    ] {
        let text =
            format!("*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT {conditions} -j RETURN\nCOMMIT\n");
        let rule = flat(&text).remove(0);
        let expected = Match::Opaque(conditions.to_owned());
        assert_eq!(rule.matches != [expected], is_typed, "{conditions}");
    }
}

#[test]
fn all_known_rules_are_typed() {
    for rule in flat(SAVED) {
        let spec = render::rule_spec(&rule);
        let foreign = spec.contains("DNAT");
        let opaque = rule.matches.iter().any(|m| matches!(m, Match::Opaque(_)))
            || matches!(rule.target, Target::Opaque(_));
        assert_eq!(opaque, foreign, "{spec}");
    }
}

#[test]
fn a_rendered_rule_is_parsed_as_it_was() {
    for rule in flat(SAVED) {
        let spec = render::rule_spec(&rule);
        let chains = ":DOCKER_OUTPUT - [0:0]\n:ISTIO_OUTPUT - [0:0]\n:A - [0:0]";
        let read = flat(&format!("*nat\n{chains}\n-A A {spec}\nCOMMIT"));
        let matches: Vec<_> = read[0].matches.iter().collect();
        assert_eq!(matches, rule.matches.iter().collect::<Vec<_>>(), "{spec}");
    }
}

#[test]
fn the_text_of_an_unknown_rule_is_kept() {
    let rules = flat(SAVED);
    let foreign = rules
        .iter()
        .map(render::rule_spec)
        .find(|spec| spec.contains("DOCKER"));
    insta::assert_snapshot!(foreign.unwrap(), @r#"-d 127.0.0.11/32 -m comment --comment "DOCKER embedded \"DNS\"" -j DOCKER_OUTPUT"#);
}

#[test]
fn an_invalid_text_is_refused_with_its_line() {
    let texts = [
        ":OUTPUT ACCEPT [0:0]",
        "*nat\n:OUTPUT ACCEPT [0:0]",
        "*nat\n-A OUTPUT -j RETURN\nCOMMIT",
        "*nat\n:OUTPUT PERHAPS [0:0]\nCOMMIT",
        "*nat\n:OUTPUT ACCEPT [0]\nCOMMIT",
        "*nat\n:A_NAME_THAT_IS_LONGER_THAN_ALLOWED - [0:0]\nCOMMIT",
        "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m comment --comment \"half\nCOMMIT",
        "*nat\nwhat is this\nCOMMIT",
        "*nat\n:A - [0:0]\n:A - [0:0]\nCOMMIT",
        "*nat\n:A - [0:0]\n-A A -j B\n:B - [0:0]\nCOMMIT",
        "*nat\n:A - [0:0]\n-A A -j B\nCOMMIT\n*nat\n:B - [0:0]\nCOMMIT",
        "*nat\n:A - [0:0]\n-A A -m comment --comment \"a\u{202e}b\nCOMMIT",
    ];
    let refusals: Vec<_> = texts
        .iter()
        .map(|text| {
            let error = parse::save(text, Family::V4).expect_err("the text is not valid");
            format!("{error}: {}", error.source().unwrap())
        })
        .collect();
    assert_snapshot!(
        "save-problems",
        "each text is refused with the number of the line, the line, and the problem",
        refusals.join("\n")
    );
}
