//! The back end `netlink` writes the same expressions as `iptables-nft-restore`.

use std::process::Command;

use mesh_cni_netfilter::render;
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netns::{Backend, BackendChoice, NetNs, Xtables, apply};
use mesh_cni_nftables::native;
use mesh_cni_rules::Mesh;
use mesh_cni_tests::{Scenario, must, rules_with_annotations, run};

/// The commands that show rules.
const VIEWS: [&str; 10] = [
    "nft --debug=netlink list ruleset",
    "nft -a list ruleset",
    "iptables-nft-save",
    "ip6tables-nft-save",
    "iptables-nft -t nat -L -n -v --line-numbers -x",
    "iptables-nft -t mangle -L -n -v --line-numbers -x",
    "iptables-nft -t raw -L -n -v --line-numbers -x",
    "ip6tables-nft -t nat -L -n -v --line-numbers -x",
    "ip6tables-nft -t mangle -L -n -v --line-numbers -x",
    "ip6tables-nft -t raw -L -n -v --line-numbers -x",
];

fn scratch() -> NetNs {
    let netns = NetNs::scratch().expect("this test needs root: run `make test`");
    must(&netns, "ip link set lo up");
    netns
}

fn by_program(rule_sets: &[RuleSet]) -> NetNs {
    let netns = scratch();
    for rules in rule_sets {
        let program = match rules.family {
            Family::V4 => "iptables-nft-restore",
            Family::V6 => "ip6tables-nft-restore",
        };
        let mut command = Command::new(program);
        let input = render::restore(rules);
        let finished = run(&netns, command.arg("--noflush"), &input);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
    }
    netns
}

fn by_netlink(mesh: Mesh, rule_sets: &[RuleSet]) -> NetNs {
    let netns = scratch();
    let choice = BackendChoice::Only(Backend::Netlink);
    apply(&netns, &no_programs(), choice, mesh, rule_sets).unwrap();
    netns
}

/// No host programs.
fn no_programs() -> Xtables {
    Xtables::in_directories(Vec::new())
}

/// Removes what differs each time: dates, and the handles of tables, which Linux before 5.13 counts over
/// all namespaces.
fn view(netns: &NetNs, words: &str) -> String {
    let text = must(netns, words);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let without_handle = |line| match line {
        table if str::starts_with(table, "table ") => table.split(" # handle ").next(),
        other => Some(other),
    };
    lines
        .filter_map(without_handle)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn netlink_and_iptables_nft_write_the_same_rules() {
    for scenario in Scenario::all() {
        let rule_sets = Family::ALL.map(|family| scenario.rules(family));
        let program = by_program(&rule_sets);
        let netlink = by_netlink(scenario.mesh(), &rule_sets);
        for words in VIEWS {
            let what = format!("{}: {words}", scenario.name);
            assert_eq!(view(&netlink, words), view(&program, words), "{what}");
        }
    }
}

/// `render --format nft` prints what the back end nft-native writes.
#[test]
fn the_nft_script_gives_the_same_rules_as_the_native_back_end() {
    for scenario in Scenario::all() {
        let rule_sets = Family::ALL.map(|family| scenario.rules(family));
        let netlink = scratch();
        let choice = BackendChoice::Only(Backend::NftNative);
        apply(
            &netlink,
            &no_programs(),
            choice,
            scenario.mesh(),
            &rule_sets,
        )
        .unwrap();
        let script = scratch();
        for rules in &rule_sets {
            let input = native::script(rules).unwrap();
            let finished = run(&script, Command::new("nft").args(["-f", "-"]), &input);
            assert_eq!(finished.code, 0, "{}: {}", scenario.name, finished.stderr);
        }
        let list = "nft list ruleset";
        // `nft` merges ports that adjoin when it loads a list with a range, and the back end keeps them as
        // they are, so `nft` loads what the back end wrote too.
        let loaded = scratch();
        let written = must(&netlink, list);
        let finished = run(&loaded, Command::new("nft").args(["-f", "-"]), &written);
        assert_eq!(finished.code, 0, "{}: {}", scenario.name, finished.stderr);
        assert_eq!(
            view(&script, list),
            view(&loaded, list),
            "{}",
            scenario.name
        );
    }
}

#[test]
fn native_rules_as_nft_lists_them() {
    let lists = [
        ("excludeInboundPorts", "22,80,443,8443"),
        ("excludeOutboundPorts", "25,3306,5432,6379,15020"),
        (
            "excludeOutboundIPRanges",
            "192.168.0.0/24,192.168.1.0/24,198.51.100.7/32",
        ),
    ];
    let rules = rules_with_annotations(
        &lists.map(|(key, value)| (format!("traffic.sidecar.istio.io/{key}"), value)),
    );
    let netns = scratch();
    let xtables = Xtables::in_directories(Vec::new());
    let choice = BackendChoice::Only(Backend::NftNative);
    apply(&netns, &xtables, choice, Mesh::Istio, &[rules]).unwrap();
    insta::with_settings!({
        description => "`nft list ruleset` of the documented pod with longer lists, by nft-native: \
            one rule for each list, a counter for each element, the names of iptables",
        omit_expression => true,
        prepend_module_to_snapshot => false,
        snapshot_path => "../snapshots",
    }, {
        insta::assert_snapshot!("nft-list-ruleset", must(&netns, "nft list ruleset"));
    });
}
