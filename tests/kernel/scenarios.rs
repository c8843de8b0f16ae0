//! Every scenario on a real kernel, with each back end and both families: the rules read back are
//! those that were applied, and removing them leaves nothing.

use mesh_cni_netfilter::drift;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{Backend, BackendChoice, Change, NetNs, Xtables, apply, read, remove};
use mesh_cni_rules::ownership;
use mesh_cni_tests::{Scenario, must, run};

/// Rules of another program, in chains that ours use too.
const FOREIGN: &str = "*mangle\n-A PREROUTING -i eth9 -j MARK --set-mark 9\nCOMMIT\n\
    *nat\n:THEIRS - [0:0]\n-A OUTPUT -d 192.0.2.1/32 -j THEIRS\n\
    -A PREROUTING -p udp -m udp --dport 53 -j THEIRS\nCOMMIT\n";

/// All rules and routing, without dates and counters.
fn live_rules(netns: &NetNs, backend: Backend) -> String {
    let flavour = flavour(backend);
    let mut text = String::new();
    for program in [
        format!("iptables-{flavour}-save"),
        format!("ip6tables-{flavour}-save"),
    ] {
        let saved = must(netns, &program);
        let lines = saved.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| line.split(" [").next().unwrap_or(line));
        text.extend(lines.map(|line| format!("{line}\n")));
    }
    let native = must(netns, "nft -s list ruleset");
    text + &native + &must(netns, "ip -4 rule list") + &must(netns, "ip -6 rule list")
}

/// The iptables program that lists the tables of that back end.
fn flavour(backend: Backend) -> &'static str {
    match backend {
        Backend::IptablesLegacy => "legacy",
        _ => "nft",
    }
}

#[test]
fn every_scenario_is_applied_read_back_and_removed() {
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    for backend in Backend::ALL {
        let choice = BackendChoice::Only(backend);
        for scenario in Scenario::all() {
            let what = format!("{} by {backend}", scenario.name);
            let mesh = scenario.mesh();
            let netns = NetNs::scratch().expect("this test needs root: run `make test`");
            must(&netns, "ip link set lo up");
            let flavour = flavour(backend);
            // The first transaction creates the tables, which remain after a removal.
            let wanted = Family::ALL.map(|family| scenario.rules(family));
            apply(&netns, &xtables, choice, mesh, &wanted).expect(&what);
            remove(&netns, &xtables, choice, mesh).expect(&what);
            let mut restore = std::process::Command::new(format!("iptables-{flavour}-restore"));
            let foreign = run(&netns, restore.arg("--noflush"), FOREIGN);
            assert_eq!(foreign.code, 0, "{what}: {}", foreign.stderr);
            let before = live_rules(&netns, backend);

            let applied = apply(&netns, &xtables, choice, mesh, &wanted).expect(&what);
            assert_eq!(applied.change, Change::Created, "{what}");
            let found = read(&netns, &xtables, choice, &Family::ALL).expect(&what);
            for (wanted, found) in wanted.iter().zip(&found.rule_sets) {
                assert_eq!(drift(wanted, found, ownership(mesh)), None, "{what}");
            }
            let again = apply(&netns, &xtables, choice, mesh, &wanted).expect(&what);
            assert_eq!(again.change, Change::Unchanged, "{what}");
            remove(&netns, &xtables, choice, mesh).expect(&what);
            assert_eq!(live_rules(&netns, backend), before, "{what}");
        }
    }
}
