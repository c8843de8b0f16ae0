//! The listing: invalid texts, rules of others, and the order of chains.

use mesh_cni_netfilter::listing::{Heading, Layout};
use mesh_cni_netfilter::{Listing, TableName};

use crate::support::{OWNERSHIP, assert_snapshot, saved};

fn problem(text: &str) -> String {
    Listing::parse(text)
        .expect_err("the text is not a listing")
        .to_string()
}

#[test]
fn an_invalid_text_is_refused_with_its_line() {
    let heading = "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)";
    let texts = [
        "1 0 0 RETURN all -- * * 0.0.0.0/0 0.0.0.0/0".to_owned(),
        "Chain INPUT".to_owned(),
        "Chain INPUT (policy MAYBE 0 packets, 0 bytes)".to_owned(),
        format!("{heading}\n1 0 0 RETURN all --"),
        format!("{heading}\n1 x 0 RETURN all -- * * 0.0.0.0/0 0.0.0.0/0"),
        format!("{heading}\n2 0 0 RETURN all -- * * 0.0.0.0/0 0.0.0.0/0"),
    ];
    let problems: Vec<_> = texts.iter().map(|text| problem(text)).collect();
    assert_snapshot!(
        "listing-problems",
        "each text is refused with the number of the line, the line, and what is valid there",
        problems.join("\n")
    );
}

#[test]
fn a_rule_without_a_target_keeps_its_columns() {
    let text = "Chain INPUT (policy ACCEPT 7 packets, 420 bytes)\n\
                num pkts bytes target prot opt in out source destination\n\
                1 7 420 all -- * * 0.0.0.0/0 0.0.0.0/0 /* counts */\n";
    let listing = Listing::parse(text).unwrap();
    assert_eq!(listing.chains[0].rules[0].target, "");
    assert_eq!(listing.print(Layout::Folded), text);
}

#[test]
fn names_of_chains_contain_brackets() {
    for name in ["A(1", "(", "A()", "A)(policy"] {
        let text = format!(
            "Chain {name} (1 references)\n\
             num pkts bytes target prot opt in out source destination\n"
        );
        let listing = Listing::parse(&text).unwrap();
        assert_eq!(listing.chains[0].name, name);
        assert_eq!(listing.print(Layout::Folded), text);
    }
    problem("Chain A(1 references)");
}

#[test]
fn our_chains_are_listed_in_the_order_of_the_ownership() {
    let text = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:ISTIO_OUTPUT - [0:0]\n\
                 :ISTIO_IN_REDIRECT - [0:0]\n:ISTIO_INBOUND - [0:0]\n:ANOTHER - [0:0]\n\
                 :ISTIO_REDIRECT - [0:0]\n-A OUTPUT -m comment --comment \"two words\" -j ANOTHER\n\
                 -A ANOTHER -j LOG --log-prefix \"a b\"\nCOMMIT\n";
    let rules = saved(text);
    insta::assert_snapshot!(Listing::of(&rules, TableName::Nat, &OWNERSHIP).print(Layout::Folded), @r#"
    Chain PREROUTING (policy ACCEPT 0 packets, 0 bytes)
    num pkts bytes target prot opt in out source destination

    Chain INPUT (policy ACCEPT 0 packets, 0 bytes)
    num pkts bytes target prot opt in out source destination

    Chain POSTROUTING (policy ACCEPT 0 packets, 0 bytes)
    num pkts bytes target prot opt in out source destination

    Chain OUTPUT (policy ACCEPT 0 packets, 0 bytes)
    num pkts bytes target prot opt in out source destination
    1 0 0 ANOTHER all -- * * 0.0.0.0/0 0.0.0.0/0 /* two words */

    Chain ISTIO_INBOUND (0 references)
    num pkts bytes target prot opt in out source destination

    Chain ISTIO_REDIRECT (0 references)
    num pkts bytes target prot opt in out source destination

    Chain ISTIO_IN_REDIRECT (0 references)
    num pkts bytes target prot opt in out source destination

    Chain ISTIO_OUTPUT (0 references)
    num pkts bytes target prot opt in out source destination

    Chain ANOTHER (1 references)
    num pkts bytes target prot opt in out source destination
    1 0 0 LOG all -- * * 0.0.0.0/0 0.0.0.0/0 LOG flags 0 level 4 prefix "a b"
    "#);
}

#[test]
fn a_chain_with_the_name_of_another_tables_builtin_chain_is_listed() {
    let tables = [
        (TableName::Filter, "PREROUTING"),
        (TableName::Filter, "POSTROUTING"),
        (TableName::Nat, "FORWARD"),
        (TableName::Raw, "INPUT"),
    ];
    for (table, name) in tables {
        let rules = saved(&format!(
            "*{table}\n:{name} - [0:0]\n-A {name} -j RETURN\nCOMMIT\n"
        ));
        let listing = Listing::of(&rules, table, &OWNERSHIP);
        let last = listing.chains.last().unwrap();
        assert_eq!((last.name.as_str(), last.rules.len()), (name, 1));
        assert_eq!(last.heading, Heading::References(0));
    }
}
