//! Replays traffic: it gives the counters of the documented dump.

use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::ruleset::{Family, RuleSet, TableName};
use mesh_cni_netfilter::walk::{Counted, NetnsAddresses, PolicyCounters, replay, walk_in};
use mesh_cni_netfilter::{Listing, Packet};
use mesh_cni_rules::istio::{Dialect, OWNERSHIP, compile};

use crate::support::{DOCUMENTED_DUMP, asm, productpage};
use crate::walk::{host, settings};

/// The traffic that the counters of the dump imply: a number of connections, and their first packet.
const TRAFFIC: [(u64, &str); 4] = [
    (2, "out tcp 10.0.0.7:15020 uid 1000"),
    (1, "out tcp 10.244.1.17:9080 uid 1337"),
    (14, "out tcp 10.0.0.7:9080 uid 1337"),
    (34_938, "in tcp 10.244.1.17:15021 from 10.244.1.1"),
];

fn masked(rules: &RuleSet) -> String {
    let listing = Listing::of(rules, TableName::Nat, &OWNERSHIP).print(Layout::Folded);
    let listing = listing.replace("127.0.0.6", "127.0.X.X");
    listing.replace("127.0.0.1", "127.0.X.X")
}

#[test]
fn the_implied_traffic_gives_all_counters_of_the_documented_dump() {
    let mut rules = asm(&productpage());
    for (connections, packet) in TRAFFIC {
        let packet = packet.parse::<Packet>().unwrap();
        let walk = walk_in(&rules, &packet, &host());
        walk.count(&mut rules, connections, PolicyCounters::Off);
    }
    assert_eq!(masked(&rules), DOCUMENTED_DUMP);
}

#[test]
fn single_packets_count_the_same_as_many() {
    let (mut each, mut together) = (asm(&productpage()), asm(&productpage()));
    let packet = TRAFFIC[2].1.parse::<Packet>().unwrap();
    for _ in 0..14 {
        replay(&mut each, &packet, &host(), PolicyCounters::Off);
    }
    let walk = walk_in(&together, &packet, &host());
    walk.count(&mut together, 14, PolicyCounters::Off);
    assert_eq!(each, together);
}

/// The nat table is traversed at each hook, once per connection.
#[test]
fn policies_count_once_per_connection() {
    let mut rules = asm(&productpage());
    for packet in [
        "in tcp 10.244.1.17:15021 from 10.244.1.1",
        "in tcp 10.244.1.17:9080 from 10.244.1.1",
        "out tcp 10.0.0.7:9080 uid 1337",
        "out tcp 10.0.0.7:9080 uid 1000",
        "out tcp 10.0.0.7:9080 uid 1337 state established",
    ] {
        let packet = packet.parse::<Packet>().unwrap();
        replay(&mut rules, &packet, &host(), PolicyCounters::On);
    }
    let listing = Listing::of(&rules, TableName::Nat, &OWNERSHIP).print(Layout::Folded);
    let policies = listing.lines().filter(|line| line.contains("policy"));
    insta::assert_snapshot!(policies.collect::<Vec<_>>().join("\n"), @"
    Chain PREROUTING (policy ACCEPT 1 packets, 60 bytes)
    Chain INPUT (policy ACCEPT 2 packets, 120 bytes)
    Chain POSTROUTING (policy ACCEPT 2 packets, 120 bytes)
    Chain OUTPUT (policy ACCEPT 1 packets, 60 bytes)
    ");
}

#[test]
fn a_walk_lists_what_counts_it() {
    let rules = compile(&settings(), Dialect::Istio, Family::V6);
    let packet = "in tcp [fd00::17]:22 from fd00::9"
        .parse::<Packet>()
        .unwrap();
    let counted = walk_in(&rules, &packet, &NetnsAddresses::new()).counted();
    let texts = counted.iter().map(
        |Counted {
             table, chain, rule, ..
         }| {
            let rule = rule.map_or("policy".to_owned(), |number| number.to_string());
            format!("{table} {chain} {rule}")
        },
    );
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"), @"
    nat PREROUTING 1
    nat ISTIO_INBOUND 2
    nat PREROUTING policy
    nat POSTROUTING policy
    ");
}
