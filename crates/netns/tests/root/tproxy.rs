//! TPROXY: rules and their policy routing are added and removed together.

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting, RuleSet};
use mesh_cni_netfilter::{Drift, drift};
use mesh_cni_netns::{Backend, Change, apply, read, remove};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::interception::Mode;
use mesh_cni_rules::istio::{OWNERSHIP, TPROXY_ROUTING};

use crate::support::{Programs, must, only, productpage, rules, saved, scratch, xtables};

fn tproxy(routing: PolicyRouting) -> [RuleSet; 2] {
    let mut interception = productpage();
    interception.mode = Mode::Tproxy(routing);
    Family::ALL.map(|family| rules(&interception, family))
}

/// The routing of both families, as `ip` prints it.
fn routing(netns: &mesh_cni_netns::NetNs) -> String {
    let mut routing = String::new();
    for family in ["-4", "-6"] {
        for arguments in [
            ["rule", "list"].as_slice(),
            &["route", "list", "table", "133"],
        ] {
            let arguments: Vec<_> = [family].iter().chain(arguments).copied().collect();
            let output = crate::support::in_namespace(netns, "ip", &arguments, "");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let ours = text
                .lines()
                .filter(|line| line.contains("fwmark") || line.contains("local"));
            let ours = ours.filter(|line| !line.contains("lookup local"));
            routing.extend(ours.map(|line| format!("{family} {}\n", line.trim())));
        }
    }
    routing
}

#[test]
fn rules_and_routing_are_added_and_removed_together() {
    for backend in Backend::ALL {
        let netns = scratch();
        must(&netns, "ip", &["link", "set", "lo", "up"], "");
        let wanted = tproxy(TPROXY_ROUTING);
        let first = apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
        assert_eq!(first.change, Change::Created, "{backend}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(routing(&netns), @"
            -4 32765:	from all fwmark 0x539 lookup 133 proto boot
            -4 local default dev lo scope host
            -6 32765:	from all fwmark 0x539 lookup 133 proto boot
            -6 local default dev lo metric 1024 pref medium
            ");
        }
        let found = read(&netns, &xtables(), only(backend), &Family::ALL)
            .unwrap()
            .rule_sets;
        let mut pairs = wanted.iter().zip(&found);
        assert_eq!(
            pairs.find_map(|(wanted, found)| drift(wanted, found, &OWNERSHIP)),
            None
        );
        let again = apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
        assert_eq!(again.change, Change::Unchanged);

        let redirect = Family::ALL.map(|family| rules(&productpage(), family));
        let replaced = apply(&netns, &xtables(), only(backend), Mesh::Istio, &redirect).unwrap();
        assert_eq!(replaced.change, Change::Replaced);
        assert_eq!(routing(&netns), "", "{backend}");

        apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
        remove(&netns, &xtables(), only(backend), Mesh::Istio).unwrap();
        assert_eq!(routing(&netns), "", "{backend}");
        assert!(!saved(&netns, backend, Family::V4).contains("ISTIO"));
        assert!(!saved(&netns, backend, Family::V4).contains("MARK"));
    }
}

/// Both routings have the same table, whose route must stay.
#[test]
fn a_routing_is_replaced_by_one_in_the_same_table() {
    for backend in Backend::ALL {
        let netns = scratch();
        for mark in [7, 1337] {
            let wanted = tproxy(PolicyRouting::new(mark, 133));
            apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
        }
        let expected = tproxy(TPROXY_ROUTING);
        let found = routing(&netns);
        assert_eq!(
            found.matches("fwmark 0x539").count(),
            2,
            "{backend}: {found}"
        );
        assert_eq!(
            found.matches("local default dev lo").count(),
            2,
            "{backend}: {found}"
        );
        assert!(!found.contains("fwmark 0x7"), "{backend}: {found}");
        let again = apply(&netns, &xtables(), only(backend), Mesh::Istio, &expected).unwrap();
        assert_eq!(again.change, Change::Unchanged, "{backend}");
    }
}

#[test]
fn the_loopback_interface_is_set_up_if_it_is_down() {
    for backend in Backend::ALL {
        let netns = scratch();
        apply(
            &netns,
            &xtables(),
            only(backend),
            Mesh::Istio,
            &tproxy(TPROXY_ROUTING),
        )
        .unwrap();
        let lo = must(&netns, "ip", &["link", "show", "dev", "lo"], "");
        assert!(lo.contains(",UP"), "{backend}: {lo}");
    }
}

#[test]
fn missing_routing_is_a_drift_and_is_repaired() {
    let netns = scratch();
    must(&netns, "ip", &["link", "set", "lo", "up"], "");
    let [wanted, _] = tproxy(PolicyRouting::new(7, 77));
    let wanted = [wanted];
    apply(
        &netns,
        &xtables(),
        only(Backend::IptablesNft),
        Mesh::Istio,
        &wanted,
    )
    .unwrap();
    must(&netns, "ip", &["rule", "del", "fwmark", "7"], "");
    let found = read(
        &netns,
        &xtables(),
        only(Backend::IptablesNft),
        &[Family::V4],
    )
    .unwrap();
    let difference = drift(&wanted[0], &found.rule_sets[0], &OWNERSHIP);
    assert!(
        matches!(difference, Some(Drift::Routing { .. })),
        "{difference:?}"
    );
    let repaired = apply(
        &netns,
        &xtables(),
        only(Backend::IptablesNft),
        Mesh::Istio,
        &wanted,
    )
    .unwrap();
    assert_eq!(repaired.change, Change::Replaced);
    let found = read(
        &netns,
        &xtables(),
        only(Backend::IptablesNft),
        &[Family::V4],
    )
    .unwrap();
    assert_eq!(drift(&wanted[0], &found.rule_sets[0], &OWNERSHIP), None);
}

#[test]
fn a_refusal_leaves_neither_rules_nor_routing() {
    let netns = scratch();
    must(&netns, "ip", &["link", "set", "lo", "up"], "");
    let programs = Programs::of_host().with_script("iptables-nft-restore", "echo no >&2; exit 1");
    let refused = apply(
        &netns,
        &programs.xtables(),
        only(Backend::IptablesNft),
        Mesh::Istio,
        &tproxy(TPROXY_ROUTING),
    );
    assert!(refused.is_err());
    assert_eq!(routing(&netns), "");
}
