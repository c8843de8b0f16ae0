//! Transactions: from the rules in a namespace to the wanted rules, and to none.

use mesh_cni_netfilter::{Family, Ownership, RuleSet, only_ours, transaction};

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
