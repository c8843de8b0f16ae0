//! The crate `iptables`, which shares no code with ours, adds foreign rules before we apply ours, and
//! reads the result.

use iptables::IPTables;
use mesh_cni_netfilter::render;
use mesh_cni_netfilter::ruleset::{Family, RuleSet, TableName};
use mesh_cni_netns::{Backend, Change, NetNs, apply, remove};
use mesh_cni_rules::Mesh;

use crate::support::{only, productpage, rules, scratch, xtables};

/// The chain and the rules of another program.
const CHAIN: &str = "THEIRS";
const FOREIGN: [(&str, &str); 3] = [
    (CHAIN, "-p udp -m udp --dport 53 -j RETURN"),
    ("OUTPUT", "-p tcp -m tcp --dport 9 -j THEIRS"),
    (
        "PREROUTING",
        "-i eth9 -m comment --comment not-ours -j RETURN",
    ),
];

/// The crate, with the host's program for that back end and family.
fn program(backend: Backend, family: Family) -> IPTables {
    let cmd = match (backend, family) {
        (Backend::IptablesLegacy, Family::V4) => "iptables-legacy",
        (Backend::IptablesLegacy, Family::V6) => "ip6tables-legacy",
        (_, Family::V4) => "iptables-nft",
        (_, Family::V6) => "ip6tables-nft",
    };
    IPTables {
        cmd,
        has_check: true,
        has_wait: true,
        is_numeric: false,
    }
}

fn add_foreign_rules(iptables: &IPTables) {
    iptables.new_chain("nat", CHAIN).unwrap();
    for (chain, rule) in FOREIGN {
        iptables.append("nat", chain, rule).unwrap();
    }
}

fn has_foreign_rules(iptables: &IPTables) -> bool {
    let mut rules = FOREIGN.iter();
    rules.all(|(chain, rule)| iptables.exists("nat", chain, rule).unwrap())
}

/// The rules of a table, sorted, as `iptables -S` prints them.
fn listed(iptables: &IPTables, table: &str) -> Vec<String> {
    let mut lines = iptables.list_table(table).unwrap();
    lines.retain(|line| line.starts_with("-A"));
    lines.sort();
    lines
}

/// Whether the nat table contains our rules and no others.
fn has_exactly(iptables: &IPTables, wanted: &RuleSet) -> bool {
    let nat = wanted.tables.iter().find(|it| it.name == TableName::Nat);
    let mut chains = nat.unwrap().chains.iter();
    listed(iptables, "nat").len() == wanted.rule_count()
        && chains.all(|chain| {
            let name = chain.name.to_string();
            chain.rules.iter().all(|rule| {
                let rule = render::rule_spec(rule);
                iptables.exists("nat", &name, &rule).unwrap()
            })
        })
}

fn each_case(test: impl Fn(Backend, &IPTables, &NetNs, &RuleSet) + Sync) {
    for backend in Backend::ALL {
        for family in Family::ALL {
            let netns = scratch();
            let iptables = program(backend, family);
            let wanted = rules(&productpage(), family);
            netns
                .run(|| test(backend, &iptables, &netns, &wanted))
                .unwrap();
        }
    }
}

#[test]
fn an_independent_reader_finds_exactly_our_rules() {
    each_case(|backend, iptables, netns, wanted| {
        let all = std::slice::from_ref(wanted);
        apply(netns, &xtables(), only(backend), Mesh::Istio, all).unwrap();
        // Programs of iptables do not see the tables of `nft-native`.
        let is_visible = backend != Backend::NftNative;
        assert_eq!(has_exactly(iptables, wanted), is_visible, "{backend}");
        assert_eq!(listed(iptables, "nat").is_empty(), !is_visible, "{backend}");
        for chain in wanted.tables.iter().flat_map(|table| &table.chains) {
            let name = chain.name.to_string();
            if name.starts_with("ISTIO") {
                let exists = iptables.chain_exists("nat", &name).unwrap();
                assert_eq!(exists, is_visible, "{backend}: {name}");
            }
        }
        assert!(listed(iptables, "filter").is_empty());
    });
}

#[test]
fn rules_that_an_independent_writer_added_survive() {
    each_case(|backend, iptables, netns, wanted| {
        add_foreign_rules(iptables);
        let before = listed(iptables, "nat");
        let all = std::slice::from_ref(wanted);
        let applied = apply(netns, &xtables(), only(backend), Mesh::Istio, all).unwrap();
        assert_eq!(applied.change, Change::Created, "{backend}");
        assert!(has_foreign_rules(iptables), "{backend}");
        let applied = apply(netns, &xtables(), only(backend), Mesh::Istio, all).unwrap();
        assert_eq!(applied.change, Change::Unchanged, "{backend}");
        let removed = remove(netns, &xtables(), only(backend), Mesh::Istio).unwrap();
        assert_eq!(removed.change, Change::Removed, "{backend}");
        assert_eq!(listed(iptables, "nat"), before, "{backend}");
    });
}

#[test]
fn a_rule_that_an_independent_writer_deleted_is_restored() {
    each_case(|backend, iptables, netns, wanted| {
        if backend == Backend::NftNative {
            return;
        }
        let all = std::slice::from_ref(wanted);
        apply(netns, &xtables(), only(backend), Mesh::Istio, all).unwrap();
        iptables.flush_chain("nat", "ISTIO_OUTPUT").unwrap();
        assert!(!has_exactly(iptables, wanted), "{backend}");
        let applied = apply(netns, &xtables(), only(backend), Mesh::Istio, all).unwrap();
        assert_eq!(applied.change, Change::Replaced, "{backend}");
        assert!(has_exactly(iptables, wanted), "{backend}");
    });
}
