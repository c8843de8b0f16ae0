//! The rules, listings and packet walks of all scenarios.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use mesh_cni_netfilter::value::network;
use mesh_cni_netfilter::{
    Family, InterfaceName, Listing, NetnsAddresses, RuleSet, render, walk_in,
};
use mesh_cni_rules::{Mesh, ownership, port_names};
use mesh_cni_tests::Scenario;

/// Compares with `FOLDER/NAME.snap`.
fn check(folder: &Path, name: &str, description: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => folder,
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => description,
    }, { insta::assert_snapshot!(name, text) });
}

/// All tables that are not empty, each after its name.
fn listings(rules: &RuleSet, mesh: Mesh) -> String {
    let mut text = String::new();
    for table in &rules.tables {
        writeln!(
            text,
            "# iptables -t {} -L\n{}",
            table.name,
            Listing::of(rules, table.name, ownership(mesh))
        )
        .expect("writing to a string does not fail");
    }
    text
}

/// The pod: its interface, a bridge inside it, and a second interface.
fn pod() -> NetnsAddresses {
    let addresses: [IpAddr; 2] =
        ["10.99.0.2", "fd00:99::2"].map(|address| address.parse().expect("the address is valid"));
    let bridge = "docker0"
        .parse::<InterfaceName>()
        .expect("the name is valid");
    let second = "net1".parse::<InterfaceName>().expect("the name is valid");
    let ranges = |texts: [&str; 2]| texts.map(|text| network(text).expect("the range is valid"));
    NetnsAddresses::pod(&addresses)
        .with_interface(bridge, ranges(["172.17.0.1/32", "fd00:17::1/128"]).to_vec())
        .with_interface(second, ranges(["10.98.0.2/32", "fd00:98::2/128"]).to_vec())
}

fn walks(scenario: &Scenario) -> String {
    let pod = pod();
    let mut text = String::new();
    for packet in scenario.packets() {
        let walk = walk_in(&scenario.rules(packet.family()), &packet, &pod);
        writeln!(text, "{}\n", walk.display(port_names(scenario.mesh())))
            .expect("writing to a string does not fail");
    }
    text
}

#[test]
fn all_scenarios_give_the_rules_and_walks_in_their_folders() {
    let scenarios = Scenario::all();
    let names: Vec<_> = scenarios
        .iter()
        .map(|scenario| scenario.name.as_str())
        .collect();
    check(
        Path::new("snapshots"),
        "scenarios",
        "all scenarios, so that none is lost",
        &names.join("\n"),
    );
    for scenario in &scenarios {
        let [v4, v6] = Family::ALL.map(|family| scenario.rules(family));
        let check = |name, text: String| check(&scenario.folder, name, scenario.find(), &text);
        check("restore.v4", render::restore(&v4));
        check("restore.v6", render::restore(&v6));
        check("listing.v4", listings(&v4, scenario.mesh()));
        check("walks", walks(scenario));
    }
}
