//! Drift: the first difference, in words.

use mesh_cni_netfilter::drift;
use mesh_cni_netfilter::ruleset::{Match, Protocol, Rule, RuleSet, Sense, TableName, Target};
use mesh_cni_rules::{OWNERSHIP, chains};

use crate::support::{asm, productpage};

fn wanted() -> RuleSet {
    asm(&productpage())
}

fn words(found: &RuleSet) -> String {
    drift(&wanted(), found, &OWNERSHIP)
        .expect("there is a difference")
        .to_string()
}

fn foreign_jump() -> Rule {
    Rule::new(
        [Match::Opaque("-m addrtype --dst-type LOCAL".to_owned())],
        Target::Accept,
    )
}

#[test]
fn the_same_rules_do_not_drift() {
    assert_eq!(drift(&wanted(), &wanted(), &OWNERSHIP), None);
}

#[test]
fn counters_and_the_order_of_matches_do_not_count() {
    let mut found = wanted();
    for chain in &mut found.table_mut(TableName::Nat).chains {
        for rule in &mut chain.rules {
            rule.counters.packets = 7;
            rule.matches.reverse();
        }
    }
    assert_eq!(drift(&wanted(), &found, &OWNERSHIP), None);
}

#[test]
fn rules_of_others_in_the_chains_of_the_kernel_do_not_count() {
    let mut found = wanted();
    found.insert(TableName::Nat, chains::OUTPUT, 1, foreign_jump());
    found.append(TableName::Nat, chains::PREROUTING, foreign_jump());
    assert_eq!(drift(&wanted(), &found, &OWNERSHIP), None);
}

#[test]
fn a_missing_chain_is_named() {
    let mut found = wanted();
    let nat = found.table_mut(TableName::Nat);
    nat.chains.retain(|chain| chain.name != chains::REDIRECT);
    insta::assert_snapshot!(words(&found), @"table nat: chain ISTIO_REDIRECT is missing");
}

#[test]
fn an_empty_namespace_lacks_the_first_chain() {
    insta::assert_snapshot!(words(&RuleSet::new(wanted().family)), @"table nat: chain ISTIO_INBOUND is missing");
}

#[test]
fn a_flushed_jump_is_named() {
    let mut found = wanted();
    found
        .table_mut(TableName::Nat)
        .chain_mut(chains::OUTPUT)
        .rules
        .clear();
    insta::assert_snapshot!(words(&found), @"table nat, chain OUTPUT: rule 1 is missing, wanted `-p tcp -j ISTIO_OUTPUT`");
}

#[test]
fn a_changed_rule_is_named_with_both_texts() {
    let mut found = wanted();
    let rules = &mut found
        .table_mut(TableName::Nat)
        .chain_mut(chains::OUTPUT_RULES)
        .rules;
    rules.swap(4, 5);
    insta::assert_snapshot!(words(&found), @"table nat, chain ISTIO_OUTPUT: rule 5 differs, wanted `-m owner --uid-owner 1337 -j RETURN`, found `-o lo ! -d 127.0.0.1/32 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT`");
}

#[test]
fn a_second_jump_is_one_too_many() {
    let mut found = wanted();
    let tcp = Match::Protocol(Sense::Is, Protocol::Tcp);
    let again = Rule::new([tcp], Target::Jump(chains::OUTPUT_RULES));
    found.append(TableName::Nat, chains::OUTPUT, again);
    insta::assert_snapshot!(words(&found), @"table nat, chain OUTPUT: rule 2 should not be there, found `-p tcp -j ISTIO_OUTPUT`");
}

#[test]
fn a_chain_of_an_older_rule_set_is_named() {
    let mut found = wanted();
    found.append(TableName::Mangle, chains::DROP, Rule::new([], Target::Drop));
    insta::assert_snapshot!(words(&found), @"table mangle: chain ISTIO_DROP should not be there");
}
