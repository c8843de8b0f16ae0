//! Drift: the first difference, as text.

use mesh_cni_netfilter::{
    BuiltinChain, ChainName, Family, Mark, Match, PolicyRouting, Protocol, Rule, RuleSet, Sense,
    TableName, Target, differences, drift, drift_all, parse,
};

use crate::support::{DROP, OUTPUT_RULES, OWNERSHIP, REDIRECT, SIDECAR, saved};

fn wanted() -> RuleSet {
    saved(SIDECAR)
}

fn chain(builtin: BuiltinChain) -> ChainName {
    builtin.into()
}

fn difference(found: &RuleSet) -> String {
    drift(&wanted(), found, &OWNERSHIP)
        .expect("there is a difference")
        .to_string()
}

fn foreign_rule() -> Rule {
    Rule::new(
        [Match::Opaque("-m addrtype --dst-type LOCAL".to_owned())],
        Target::Accept,
    )
}

#[test]
fn equal_rules_do_not_drift() {
    assert_eq!(drift(&wanted(), &wanted(), &OWNERSHIP), None);
}

#[test]
fn counters_and_the_order_of_matches_are_ignored() {
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
fn rules_of_others_in_built_in_chains_are_ignored() {
    let mut found = wanted();
    let (prerouting, output) = (BuiltinChain::Prerouting, BuiltinChain::Output);
    found.insert(TableName::Nat, chain(output), 1, foreign_rule());
    found.append(TableName::Nat, chain(prerouting), foreign_rule());
    assert_eq!(drift(&wanted(), &found, &OWNERSHIP), None);
}

#[test]
fn a_missing_chain_is_reported() {
    let mut found = wanted();
    let nat = found.table_mut(TableName::Nat);
    nat.chains.retain(|chain| chain.name != REDIRECT);
    insta::assert_snapshot!(difference(&found), @"table nat: chain ISTIO_REDIRECT is missing");
}

#[test]
fn an_empty_namespace_lacks_the_first_chain() {
    insta::assert_snapshot!(difference(&RuleSet::new(Family::V4)), @"table nat: chain ISTIO_INBOUND is missing");
}

#[test]
fn a_removed_jump_is_reported() {
    let mut found = wanted();
    found
        .table_mut(TableName::Nat)
        .chain_mut(chain(BuiltinChain::Output))
        .rules
        .clear();
    insta::assert_snapshot!(difference(&found), @"table nat, chain OUTPUT: rule 1 is missing, wanted `-p tcp -j ISTIO_OUTPUT`");
}

#[test]
fn a_changed_rule_is_reported_with_both_texts() {
    let mut found = wanted();
    let rules = &mut found
        .table_mut(TableName::Nat)
        .chain_mut(OUTPUT_RULES)
        .rules;
    rules.swap(4, 5);
    insta::assert_snapshot!(difference(&found), @"table nat, chain ISTIO_OUTPUT: rule 5 differs, wanted `-m owner --uid-owner 1337 -j RETURN`, found `-o lo ! -d 127.0.0.1/32 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT`");
}

#[test]
fn a_removed_and_an_added_rule_are_two_differences() {
    let mut found = wanted();
    let nat = found.table_mut(TableName::Nat);
    nat.chain_mut(OUTPUT_RULES).rules.remove(1);
    nat.chain_mut(REDIRECT).rules.insert(0, foreign_rule());
    let all = differences(&wanted(), &found, &OWNERSHIP);
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_second_jump_is_unexpected() {
    let mut found = wanted();
    let tcp = Match::Protocol(Sense::Is, Protocol::Tcp);
    let again = Rule::new([tcp], Target::Jump(OUTPUT_RULES));
    found.append(TableName::Nat, chain(BuiltinChain::Output), again);
    insta::assert_snapshot!(difference(&found), @"table nat, chain OUTPUT: rule 2 should not be there, found `-p tcp -j ISTIO_OUTPUT`");
}

#[test]
fn an_unwanted_chain_of_ours_is_reported() {
    let mut found = wanted();
    found.append(TableName::Mangle, DROP, Rule::new([], Target::Drop));
    insta::assert_snapshot!(difference(&found), @"table mangle: chain ISTIO_DROP should not be there");
}

fn sidecar(family: Family) -> RuleSet {
    parse::save(
        "*nat\n:ISTIO_INBOUND - [0:0]\n-A ISTIO_INBOUND -p tcp -j RETURN\nCOMMIT\n",
        family,
    )
    .unwrap()
}

#[test]
fn all_families_are_compared() {
    let both = Family::ALL.map(sidecar);
    assert_eq!(drift_all(&both, &both, &OWNERSHIP), None);
    let swapped = [both[1].clone(), both[0].clone()];
    assert_eq!(drift_all(&both, &swapped, &OWNERSHIP), None);
    let difference = drift_all(&both, &both[..1], &OWNERSHIP).unwrap();
    insta::assert_snapshot!(difference, @"table nat: chain ISTIO_INBOUND is missing");
}

#[test]
fn rules_of_a_family_that_is_not_wanted_are_drift() {
    let wanted = [sidecar(Family::V4)];
    let found = Family::ALL.map(sidecar);
    let difference = drift_all(&wanted, &found, &OWNERSHIP).unwrap();
    insta::assert_snapshot!(difference, @"table nat: chain ISTIO_INBOUND should not be there");
    // Rules of others in that family are not.
    let mut foreign = RuleSet::new(Family::V6);
    foreign.append(TableName::Nat, BuiltinChain::Output.into(), foreign_rule());
    let found = [sidecar(Family::V4), foreign];
    assert_eq!(drift_all(&wanted, &found, &OWNERSHIP), None);
}

#[test]
fn without_wanted_rules_any_rule_of_ours_is_drift() {
    let found = [sidecar(Family::V4), RuleSet::new(Family::V6)];
    let difference = drift_all(&[], &found, &OWNERSHIP).unwrap();
    insta::assert_snapshot!(difference, @"table nat: chain ISTIO_INBOUND should not be there");
    let empty = Family::ALL.map(RuleSet::new);
    assert_eq!(drift_all(&[], &empty, &OWNERSHIP), None);
}

#[test]
fn routing_of_a_family_that_is_not_wanted_is_drift() {
    let mut found = RuleSet::new(Family::V6);
    found.routing = Some(PolicyRouting::new(1337, 133));
    let difference = drift_all(&[], &[found], &OWNERSHIP).unwrap();
    insta::assert_snapshot!(difference, @"policy routing: wanted none, found `fwmark 0x539 lookup 133`");
}

#[test]
fn a_priority_is_compared_if_one_is_wanted() {
    let with = |routing| {
        let mut rules = RuleSet::new(Family::V4);
        rules.routing = Some(routing);
        rules
    };
    let routing = |mask, priority| PolicyRouting {
        mark: Mark { value: 0x111, mask },
        table: 100,
        priority,
    };
    let differ = |wanted, found| drift(&with(wanted), &with(found), &OWNERSHIP);
    let wanted = routing(0xfff, Some(32764));
    assert_eq!(differ(wanted, wanted), None);
    assert_eq!(differ(routing(0xfff, None), wanted), None);
    assert!(differ(wanted, routing(0xfff, None)).is_some());
    assert!(differ(wanted, routing(u32::MAX, Some(32764))).is_some());
    insta::assert_snapshot!(
        differ(wanted, routing(0xfff, Some(7))).unwrap(),
        @"policy routing: wanted `pref 32764 fwmark 0x111/0xfff lookup 100`, found `pref 7 fwmark 0x111/0xfff lookup 100`"
    );
}

#[test]
fn the_order_of_ports_in_a_list_is_no_difference() {
    let with = |ports: &str| {
        let rule = format!("-A ISTIO_OUTPUT -p tcp -m multiport {ports} -j RETURN");
        saved(&format!("*nat\n:ISTIO_OUTPUT - [0:0]\n{rule}\nCOMMIT"))
    };
    let differ = |one, other| drift(&with(one), &with(other), &OWNERSHIP).is_some();
    assert!(!differ("--dports 4190,4191", "--dports 4191,4190"));
    assert!(!differ(
        "--dports 80,8000:8050,8051:8100",
        "--dports 8000:8100,80"
    ));
    assert!(!differ("! --dports 53,53", "! --dports 53"));
    assert!(!differ("--dports 53", "--dports 53,53"));
    assert!(differ("--dports 80,8000:8100", "--dports 80,8000:8101"));
    assert!(differ("--dports 80", "! --dports 80"));
}

#[test]
fn a_list_of_one_port_is_that_port() {
    let with = |ports: &str| {
        let rule = format!("-A ISTIO_OUTPUT -p tcp {ports} -j RETURN");
        saved(&format!("*nat\n:ISTIO_OUTPUT - [0:0]\n{rule}\nCOMMIT"))
    };
    let differ = |one, other| drift(&with(one), &with(other), &OWNERSHIP).is_some();
    assert!(!differ("-m multiport --dports 53", "-m tcp --dport 53"));
    assert!(!differ(
        "-m multiport ! --dports 0:1024",
        "-m tcp --dport 1025:65535"
    ));
    assert!(differ("-m multiport --dports 53", "-m tcp ! --dport 53"));
    assert!(differ("-m multiport --dports 53,54", "-m tcp --dport 53"));
}

#[test]
fn rules_are_compared_with_or_without_their_comments() {
    let with = |comment: &str| {
        let rule = format!("-A ISTIO_OUTPUT -p tcp {comment} -j RETURN");
        saved(&format!("*nat\n:ISTIO_OUTPUT - [0:0]\n{rule}\nCOMMIT"))
    };
    let wanted = with("-m comment --comment mesh/one");
    for other in [with("-m comment --comment mesh/two"), with("")] {
        assert!(drift(&wanted, &other, &OWNERSHIP).is_some());
        let (wanted, other) = (wanted.clone(), other.without_comments());
        assert_eq!(drift(&wanted.without_comments(), &other, &OWNERSHIP), None);
    }
}
