//! Saved rules: read without loss, foreign ones in their own words, broken ones refused.

use std::error::Error;

use mesh_cni_netfilter::ruleset::{Family, Match, Rule, Target};
use mesh_cni_netfilter::{parse, render};
use mesh_cni_rules::OWNERSHIP;

use crate::support::{as_saved, asm, productpage};

/// What `iptables-nft-save -c` of version 1.8.9 printed in a namespace with a Docker-like chain
/// and rules of every kind that interception knows.
const SAVED: &str = include_str!("../anchor/iptables-save.v4.txt");

fn flat(text: &str) -> Vec<Rule> {
    let rules = parse::save(text, Family::V4).expect("the text was saved by iptables");
    let chains = rules.tables.into_iter().flat_map(|table| table.chains);
    chains.flat_map(|chain| chain.rules).collect()
}

#[test]
fn every_rule_that_we_write_is_read_as_typed() {
    for rule in flat(SAVED) {
        let spec = render::rule_spec(&rule);
        let foreign = spec.contains("DNAT");
        let opaque = rule.matches.iter().any(|m| matches!(m, Match::Opaque(_)))
            || matches!(rule.target, Target::Opaque(_));
        assert_eq!(opaque, foreign, "{spec}");
    }
}

#[test]
fn the_words_of_a_foreign_rule_are_kept() {
    let rules = flat(SAVED);
    let foreign = rules
        .iter()
        .map(render::rule_spec)
        .find(|spec| spec.contains("DOCKER"));
    insta::assert_snapshot!(foreign.unwrap(), @r#"-d 127.0.0.11/32 -m comment --comment "DOCKER embedded \"DNS\"" -j DOCKER_OUTPUT"#);
}

#[test]
fn our_own_restore_input_reads_back_as_the_same_rules() {
    let rules = asm(&productpage());
    let saved = as_saved(&render::restore(&rules));
    assert_eq!(
        mesh_cni_netfilter::drift(
            &rules,
            &parse::save(&saved, Family::V4).unwrap(),
            &OWNERSHIP
        ),
        None
    );
}

#[test]
fn a_broken_text_is_refused_with_its_line() {
    let texts = [
        ":OUTPUT ACCEPT [0:0]",
        "*nat\n:OUTPUT ACCEPT [0:0]",
        "*nat\n-A OUTPUT -j RETURN\nCOMMIT",
        "*nat\n:OUTPUT PERHAPS [0:0]\nCOMMIT",
        "*nat\n:OUTPUT ACCEPT [0]\nCOMMIT",
        "*nat\n:A_NAME_THAT_IS_LONGER_THAN_ALLOWED - [0:0]\nCOMMIT",
        "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m comment --comment \"half\nCOMMIT",
        "*nat\nwhat is this\nCOMMIT",
    ];
    let refusals: Vec<_> = texts
        .iter()
        .map(|text| {
            let error = parse::save(text, Family::V4).expect_err("the text is broken");
            format!("{error}: {}", error.source().unwrap())
        })
        .collect();
    crate::support::assert_snapshot!(
        "save-problems",
        "each text is refused with the number of the line, the line, and what is wrong with it",
        refusals.join("\n")
    );
}
