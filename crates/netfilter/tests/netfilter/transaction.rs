//! Transactions: from the rules in a namespace to the wanted rules, and to none.

use mesh_cni_netfilter::{
    Family, Ownership, RuleSet, TableName, differences, drift, only_ours, render, transaction,
};

use crate::support::{OWNERSHIP, SIDECAR, SIDECAR_9080, assert_snapshot, saved};

#[test]
fn without_drift_nothing_changes() {
    let rules = saved(SIDECAR);
    assert_eq!(transaction::replace(&rules, &rules, &OWNERSHIP), "");
    assert_eq!(
        transaction::remove(&RuleSet::new(Family::V4), &OWNERSHIP),
        ""
    );
}

#[test]
fn older_rules_of_ours_are_replaced_and_the_rules_of_others_stay() {
    let older = "*mangle\n:PREROUTING ACCEPT [0:0]\n:ISTIO_DROP - [0:0]\n\
        -A PREROUTING -m conntrack --ctstate INVALID -j ISTIO_DROP\n-A ISTIO_DROP -j DROP\nCOMMIT\n\
        *nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:ISTIO_OUTPUT - [0:0]\n\
        :ISTIO_OUTPUT_DNS - [0:0]\n:DOCKER - [0:0]\n\
        -A PREROUTING -i eth9 -j RETURN\n\
        -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
        -A OUTPUT -o net1 -j RETURN\n-A OUTPUT -j ISTIO_OUTPUT\n-A OUTPUT -j DOCKER\n\
        -A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS\nCOMMIT\n";
    let found = saved(older);
    let wanted = saved(SIDECAR_9080);
    assert_snapshot!(
        "replace-older",
        "one transaction per table: empties our chains, deletes our jumps and the interface rule \
         before one, appends the wanted rules, deletes unwanted chains; DOCKER, its jumps and the \
         rule for eth9 are not mentioned",
        transaction::replace(&wanted, &found, &OWNERSHIP)
    );
    assert_snapshot!(
        "remove-older",
        "deletes everything of ours, jumps before chains; nothing else is mentioned",
        transaction::remove(&found, &OWNERSHIP)
    );
    assert_snapshot!(
        "undo-replace-older",
        "undoes the replacement: deletes our new rules and restores our older ones; DOCKER, its \
         jumps and the rule for eth9 are not mentioned",
        transaction::replace(&only_ours(&found, &OWNERSHIP), &wanted, &OWNERSHIP)
    );
}

#[test]
fn a_rule_is_ours_by_its_comment_in_a_builtin_chain_only() {
    let found = saved(
        "*nat\n:OUTPUT ACCEPT [0:0]\n:ELSE - [0:0]\n\
         -A OUTPUT -p udp -m comment --comment mesh/dns -j RETURN\n\
         -A OUTPUT -p udp -m comment --comment \"not mesh/dns\" -j RETURN\n\
         -A OUTPUT -p udp -j RETURN\n\
         -A ELSE -p udp -m comment --comment mesh/dns -j RETURN\nCOMMIT\n",
    );
    let rules = transaction::remove(&found, &OWNERSHIP);
    insta::assert_snapshot!(rules, @r#"
    *nat
    -D OUTPUT -p udp -m comment --comment "mesh/dns" -j RETURN
    COMMIT
    "#);
}

#[test]
fn without_exclusions_of_interfaces_such_rules_are_of_others() {
    let ownership = Ownership {
        excludes_interfaces: false,
        ..OWNERSHIP.clone()
    };
    let found = saved(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:ISTIO_INBOUND - [0:0]\n-A PREROUTING -i net1 -j RETURN\n\
         -A PREROUTING -i net1 -p tcp -j ISTIO_INBOUND\n-A PREROUTING -i net2 -j RETURN\nCOMMIT\n",
    );
    let without = transaction::remove(&found, &ownership);
    insta::assert_snapshot!(without, @r"
    *nat
    :ISTIO_INBOUND - [0:0]
    -D PREROUTING -i net1 -p tcp -j ISTIO_INBOUND
    -X ISTIO_INBOUND
    COMMIT
    ");
    assert!(transaction::remove(&found, &OWNERSHIP).contains("-D PREROUTING -i net2 -j RETURN"));
}

/// Chains that other programs created, with the names of other tables' built-in chains. Their rules
/// would be ours in a built-in chain.
const NAMED_AS_BUILTIN: &str = "*filter\n:INPUT ACCEPT [0:0]\n:PREROUTING - [0:0]\n:POSTROUTING - [0:0]\n\
    :ISTIO_DROP - [0:0]\n-A INPUT -i net1 -j ISTIO_DROP\n\
    -A PREROUTING -m mark --mark 0x539 -j RETURN\n-A POSTROUTING -i net1 -j RETURN\nCOMMIT\n\
    *nat\n:FORWARD - [0:0]\n-A FORWARD -m comment --comment mesh/dns -j RETURN\nCOMMIT\n\
    *raw\n:INPUT - [0:0]\n:FORWARD - [0:0]\n:POSTROUTING - [0:0]\n-A INPUT -j FORWARD\n\
    -A FORWARD -m mark --mark 0x539 -j RETURN\n\
    -A POSTROUTING -j MARK --set-xmark 0x53a/0xffffffff\nCOMMIT\n";

#[test]
fn a_chain_with_the_name_of_another_tables_builtin_chain_is_of_others() {
    let found = saved(NAMED_AS_BUILTIN);
    insta::assert_snapshot!(transaction::remove(&found, &OWNERSHIP), @r"
    *filter
    :ISTIO_DROP - [0:0]
    -D INPUT -i net1 -j ISTIO_DROP
    -X ISTIO_DROP
    COMMIT
    ");
    insta::assert_snapshot!(render::restore(&only_ours(&found, &OWNERSHIP)), @r"
    *filter
    -N ISTIO_DROP
    -A INPUT -i net1 -j ISTIO_DROP
    COMMIT
    ");
    let differences = differences(&RuleSet::new(Family::V4), &found, &OWNERSHIP);
    let differences: Vec<_> = differences.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(differences.join("\n"), @r"
    table filter, chain INPUT: rule 1 should not be there, found `-i net1 -j ISTIO_DROP`
    table filter: chain ISTIO_DROP should not be there
    ");
}

#[test]
fn a_wanted_chain_with_the_name_of_another_tables_builtin_chain_is_created() {
    let wanted = saved(NAMED_AS_BUILTIN);
    let restored = render::restore(&wanted);
    let created: Vec<_> = restored
        .lines()
        .filter(|line| line.starts_with("-N"))
        .collect();
    insta::assert_snapshot!(created.join(", "), @"-N PREROUTING, -N POSTROUTING, -N ISTIO_DROP, -N FORWARD, -N INPUT, -N FORWARD, -N POSTROUTING");
    let mut found = wanted.clone();
    found.table_mut(TableName::Raw).chains.clear();
    let missing = drift(&wanted, &found, &OWNERSHIP).unwrap();
    insta::assert_snapshot!(missing, @"table raw: chain INPUT is missing");
}
