//! Transactions: from whatever stands to what is wanted, and back to nothing.

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::{only_ours, parse, transaction};
use mesh_cni_rules::OWNERSHIP;

use crate::support::{annotations, asm, assert_snapshot, interception, productpage};

#[test]
fn nothing_changes_where_nothing_drifts() {
    let rules = asm(&productpage());
    assert_eq!(transaction::replace(&rules, &rules, &OWNERSHIP), "");
    assert_eq!(
        transaction::remove(&RuleSet::new(Family::V4), &OWNERSHIP),
        ""
    );
}

#[test]
fn an_older_set_is_replaced_and_the_rules_of_others_stay() {
    let older = "*mangle\n:PREROUTING ACCEPT [0:0]\n:ISTIO_DROP - [0:0]\n\
        -A PREROUTING -m conntrack --ctstate INVALID -j ISTIO_DROP\n-A ISTIO_DROP -j DROP\nCOMMIT\n\
        *nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:ISTIO_OUTPUT - [0:0]\n\
        :ISTIO_OUTPUT_DNS - [0:0]\n:DOCKER - [0:0]\n\
        -A PREROUTING -i eth9 -j RETURN\n\
        -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
        -A OUTPUT -o net1 -j RETURN\n-A OUTPUT -j ISTIO_OUTPUT\n-A OUTPUT -j DOCKER\n\
        -A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS\nCOMMIT\n";
    let found = parse::save(older, Family::V4).unwrap();
    let captures_9080 = annotations(&[
        ("traffic.sidecar.istio.io/includeInboundPorts", "9080"),
        ("traffic.sidecar.istio.io/includeOutboundIPRanges", ""),
    ]);
    assert_snapshot!(
        "replace-older",
        "in each table one transaction: chains of ours are emptied, our jumps and the interface \
         rule before one are deleted, the wanted rules appended, stale chains deleted; DOCKER, its \
         jumps and the rule for eth9 are not mentioned",
        transaction::replace(&asm(&interception(&captures_9080)), &found, &OWNERSHIP)
    );
    assert_snapshot!(
        "remove-older",
        "everything of ours goes, jumps before chains; nothing else is mentioned",
        transaction::remove(&found, &OWNERSHIP)
    );
    let applied = asm(&interception(&captures_9080));
    assert_snapshot!(
        "undo-replace-older",
        "the way back from the replacement: our new rules go, the older ones of ours stand again; \
         DOCKER, its jumps and the rule for eth9 are not mentioned",
        transaction::replace(&only_ours(&found, &OWNERSHIP), &applied, &OWNERSHIP)
    );
}
