//! The documented dump: what the documentation's own example must come to, at every layer.

use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::ruleset::TableName;
use mesh_cni_netfilter::{Listing, render};
use mesh_cni_rules::OWNERSHIP;

use crate::support::{DOCUMENTED_DUMP, asm, assert_snapshot, productpage};

#[test]
fn the_dump_is_read_and_printed_back_as_it_is() {
    let listing = Listing::parse(DOCUMENTED_DUMP).unwrap();
    assert_eq!(listing.print(Layout::Folded), DOCUMENTED_DUMP);
}

#[test]
fn the_dump_survives_the_columns_of_iptables() {
    let aligned = Listing::parse(DOCUMENTED_DUMP).unwrap().to_string();
    let again = Listing::parse(&aligned).unwrap();
    assert_eq!(again.print(Layout::Folded), DOCUMENTED_DUMP);
}

/// The documentation masks its loopback addresses: rule 2 of `ISTIO_OUTPUT` is 127.0.0.6, every
/// other one 127.0.0.1.
fn unmasked() -> String {
    let lines = DOCUMENTED_DUMP.lines().map(|line| {
        let passthrough = line.contains("* lo 127.0.X.X 0.0.0.0/0");
        let address = if passthrough {
            "127.0.0.6"
        } else {
            "127.0.0.1"
        };
        line.replace("127.0.X.X", address) + "\n"
    });
    lines.collect()
}

#[test]
fn the_documented_settings_give_the_documented_rules() {
    let wanted = Listing::parse(&unmasked()).unwrap().without_counters();
    let listing = Listing::of(&asm(&productpage()), TableName::Nat, &OWNERSHIP);
    assert_eq!(listing.print(Layout::Folded), wanted.print(Layout::Folded));
}

#[test]
fn every_layer_of_the_documented_pod_can_be_read() {
    let rules = asm(&productpage());
    assert_snapshot!(
        "productpage.interception",
        "what the annotations say: 22 and the proxy agent's three ports stay out inbound, 15020 \
         and 192.168.0.1 outbound, everything else is captured for user and group 1337",
        format!("{:#?}", productpage())
    );
    assert_snapshot!(
        "productpage.asm.v4.restore",
        "the input of iptables-restore: one transaction, chains in order of first use, rules in \
         the order of the documented dump",
        render::restore(&rules)
    );
    assert_snapshot!(
        "productpage.asm.v4.list",
        "the documented dump in the columns of iptables, counters at zero, 127.0.0.6 in rule 2 of \
         ISTIO_OUTPUT and 127.0.0.1 elsewhere",
        Listing::of(&rules, TableName::Nat, &OWNERSHIP)
    );
    assert_snapshot!(
        "productpage.asm.v4.json",
        "the typed rule set: each rule a list of matches, a target and its counters",
        render::json(&[rules])
    );
}
