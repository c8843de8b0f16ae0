//! Every scenario, layer by layer: restore input of both families, listings, and where packets end.

use std::fmt::Write as _;
use std::net::IpAddr;

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::value::{InterfaceName, network};
use mesh_cni_netfilter::walk::{NetnsAddresses, walk_in};
use mesh_cni_netfilter::{Listing, render};
use mesh_cni_rules::{OWNERSHIP, PORT_NAMES};
use mesh_cni_tests::Scenario;

fn check(scenario: &Scenario, artefact: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => &scenario.folder,
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => scenario.find(),
    }, { insta::assert_snapshot!(artefact, text) });
}

/// Every table that holds something, each under its name.
fn listings(rules: &RuleSet) -> String {
    let mut text = String::new();
    for table in &rules.tables {
        writeln!(
            text,
            "# iptables -t {} -L\n{}",
            table.name,
            Listing::of(rules, table.name, &OWNERSHIP)
        )
        .expect("a string takes every write");
    }
    text
}

/// The namespace in which packets walk: the pod's own interface, a bridge inside the pod, and a
/// second interface.
fn host() -> NetnsAddresses {
    let addresses: [IpAddr; 2] =
        ["10.99.0.2", "fd00:99::2"].map(|address| address.parse().expect("this is an address"));
    let bridge = "docker0".parse::<InterfaceName>().expect("this is a name");
    let second = "net1".parse::<InterfaceName>().expect("this is a name");
    let ranges = |texts: [&str; 2]| texts.map(|text| network(text).expect("this is a range"));
    NetnsAddresses::pod(&addresses)
        .with_interface(bridge, ranges(["172.17.0.1/32", "fd00:17::1/128"]).to_vec())
        .with_interface(second, ranges(["10.98.0.2/32", "fd00:98::2/128"]).to_vec())
}

/// The story of each packet.
fn walks(scenario: &Scenario) -> String {
    let host = host();
    let mut text = String::new();
    for packet in scenario.packets() {
        let walk = walk_in(&scenario.rules(packet.family()), &packet, &host);
        writeln!(text, "{}\n", walk.display(PORT_NAMES)).expect("a string takes every write");
    }
    text
}

#[test]
fn every_scenario_comes_to_what_lies_beside_it() {
    let scenarios = Scenario::all();
    assert!(scenarios.len() >= 52, "a scenario was lost");
    for scenario in &scenarios {
        let (four, six) = (scenario.rules(Family::V4), scenario.rules(Family::V6));
        check(scenario, "restore.v4", &render::restore(&four));
        check(scenario, "restore.v6", &render::restore(&six));
        check(scenario, "listing.v4", &listings(&four));
        check(scenario, "walks", &walks(scenario));
    }
}
