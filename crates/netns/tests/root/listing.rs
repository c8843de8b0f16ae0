//! The listing of live rules equals the documented dump and the output of the documented command.

use mesh_cni_netfilter::Listing;
use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::ruleset::{Family, RuleSet, TableName};
use mesh_cni_netns::{Backend, apply, read};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::OWNERSHIP;

use crate::support::{must, only, productpage, rules, scratch, suffix, xtables};

const DUMP: &str = include_str!("../../../rules/tests/anchor/documented-dump.nat.v4.txt");
/// Every match and target of the rule model, and foreign rules.
const EVERYTHING: &str = include_str!("../../../netfilter/tests/data/iptables-save.v4.txt");

fn live(backend: Backend) -> RuleSet {
    let netns = scratch();
    apply(
        &netns,
        &xtables(),
        only(backend),
        Mesh::Istio,
        &[rules(&productpage(), Family::V4)],
    )
    .unwrap();
    let found = read(&netns, &xtables(), only(backend), &[Family::V4]).unwrap();
    found.rule_sets.into_iter().next().unwrap()
}

#[test]
fn the_live_listing_is_the_documented_dump_with_every_back_end() {
    let masked = |text: &str| {
        text.replace("127.0.0.6", "127.0.X.X")
            .replace("127.0.0.1", "127.0.X.X")
    };
    let documented = Listing::parse(DUMP)
        .unwrap()
        .without_counters()
        .print(Layout::Folded);
    for backend in Backend::ALL {
        let listing = Listing::of(&live(backend), TableName::Nat, &OWNERSHIP);
        let listing = listing.without_counters().print(Layout::Folded);
        assert_eq!(masked(&listing), documented, "{backend}");
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => "read from a live namespace, the same with every back end: the \
                documented dump, 127.0.0.6 in rule 2 of ISTIO_OUTPUT and 127.0.0.1 elsewhere",
        }, { insta::assert_snapshot!("productpage.live.list", listing) });
    }
}

/// Chains with their rules, sorted, with protocols as names: our order of chains differs, and some
/// versions of iptables print protocols as numbers.
fn chains(listing: Listing) -> Vec<String> {
    let folded = listing.without_counters().print(Layout::Folded);
    let named = |line: &str| {
        let mut words: Vec<_> = line.split_whitespace().collect();
        if let Some(at) = words.iter().position(|word| *word == "--") {
            words[at - 1] = match words[at - 1] {
                "6" => "tcp",
                "17" => "udp",
                "0" => "all",
                other => other,
            };
        }
        words.join(" ")
    };
    let mut chains: Vec<String> = folded
        .split("\n\n")
        .map(|chain| chain.lines().map(named).collect::<Vec<_>>().join("\n"))
        .collect();
    chains.sort();
    chains
}

#[test]
fn our_listing_equals_that_of_the_documented_command() {
    // Tables of our own contain no rules of iptables.
    let iptables = Backend::ALL
        .into_iter()
        .filter(|backend| *backend != Backend::NftNative);
    for backend in iptables {
        let netns = scratch();
        let suffix = suffix(backend);
        must(
            &netns,
            &format!("iptables-{suffix}-restore"),
            &[],
            EVERYTHING,
        );
        let found = read(&netns, &xtables(), only(backend), &[Family::V4]).unwrap();
        for table in [TableName::Mangle, TableName::Raw, TableName::Nat] {
            let arguments = [
                "-t",
                table.as_str(),
                "-L",
                "-n",
                "-v",
                "--line-numbers",
                "-x",
            ];
            let text = must(&netns, &format!("iptables-{suffix}"), &arguments, "");
            let theirs = chains(Listing::parse(&text).unwrap());
            let ours = chains(Listing::of(&found.rule_sets[0], table, &OWNERSHIP));
            // In our listing a foreign comment and a foreign DNAT have the form of iptables-save.
            let foreign = |chain: &&String| !chain.contains("DOCKER");
            let (ours, theirs): (Vec<_>, Vec<_>) = (
                ours.iter().filter(foreign).collect(),
                theirs.iter().filter(foreign).collect(),
            );
            assert!(!ours.is_empty());
            assert_eq!(ours, theirs, "{backend} {table}");
        }
    }
}
