//! The documented dump: the rules for the documented pod.

use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::{Family, Listing, TableName, drift, parse, render};
use mesh_cni_rules::istio::OWNERSHIP;

use crate::support::{DOCUMENTED_DUMP, as_saved, asm, assert_snapshot, productpage};

#[test]
fn the_dump_is_parsed_and_printed_without_changes() {
    let listing = Listing::parse(DOCUMENTED_DUMP).unwrap();
    assert_eq!(listing.print(Layout::Folded), DOCUMENTED_DUMP);
}

#[test]
fn the_dump_survives_the_columns_of_iptables() {
    let aligned = Listing::parse(DOCUMENTED_DUMP).unwrap().to_string();
    let again = Listing::parse(&aligned).unwrap();
    assert_eq!(again.print(Layout::Folded), DOCUMENTED_DUMP);
}

/// The documentation masks loopback addresses: 127.0.0.6 in rule 2 of `ISTIO_OUTPUT`, else
/// 127.0.0.1.
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
fn all_forms_of_the_documented_rules() {
    let rules = asm(&productpage());
    assert_snapshot!(
        "productpage.interception",
        "inbound, 22 and the three ports of the proxy's agent are excluded; outbound, 15020 and \
         192.168.0.1; everything else is captured; the proxy is user and group 1337",
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
        "the typed rule set: each rule has a list of matches, a target and counters",
        render::json(&[rules])
    );
}

#[test]
fn the_documented_rules_survive_restore_and_save() {
    let rules = asm(&productpage());
    let saved = as_saved(&render::restore(&rules));
    let found = parse::save(&saved, Family::V4).unwrap();
    assert_eq!(drift(&rules, &found, &OWNERSHIP), None);
}
