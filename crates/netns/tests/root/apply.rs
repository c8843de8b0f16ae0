//! Applying and removing rules, with every back end and both families.

use mesh_cni_netfilter::drift;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{ApplyError, Backend, BackendChoice, Change, apply, read, remove};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::OWNERSHIP;

use crate::support::{
    in_namespace, interception, must, only, productpage, rules, saved, scratch, suffix, xtables,
};

/// Foreign rules in every chain that ours change, and in chains with the names of other tables'
/// built-in chains, where they would be ours in a built-in chain.
const FOREIGN: &str = "*nat\n:THEIRS - [0:0]\n\
    -A PREROUTING -i eth9 -m comment --comment \"not ours\" -j RETURN\n\
    -A PREROUTING -p udp -m udp --dport 53 -j THEIRS\n\
    -A OUTPUT -d 127.0.0.11/32 -j THEIRS\n-A THEIRS -j RETURN\nCOMMIT\n\
    *filter\n:PREROUTING - [0:0]\n:POSTROUTING - [0:0]\n\
    -A INPUT -p tcp -m tcp --dport 1 -j DROP\n-A INPUT -j PREROUTING\n\
    -A PREROUTING -m mark --mark 0x539 -j RETURN\nCOMMIT\n\
    *nat\n:FORWARD - [0:0]\n-A FORWARD -m mark --mark 0x539 -j RETURN\nCOMMIT\n\
    *raw\n:INPUT - [0:0]\n:FORWARD - [0:0]\n:POSTROUTING - [0:0]\n-A INPUT -j FORWARD\n\
    -A FORWARD -m mark --mark 0x539 -j RETURN\n\
    -A POSTROUTING -j MARK --set-xmark 0x53a/0xffffffff\nCOMMIT\n";

#[test]
fn applying_again_changes_nothing_and_keeps_the_counters() {
    for backend in Backend::ALL {
        let netns = scratch();
        let wanted = [rules(&productpage(), Family::V4)];
        let apply = || apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
        assert_eq!(apply().change, Change::Created);

        must(&netns, "ip", &["link", "set", "lo", "up"], "");
        // The packet is counted although no process listens.
        in_namespace(&netns, "bash", &["-c", ": < /dev/tcp/127.0.0.1/9"], "");
        let before = read(&netns, &xtables(), only(backend), &[Family::V4])
            .unwrap()
            .rule_sets;
        assert_eq!(apply().change, Change::Unchanged);
        let after = read(&netns, &xtables(), only(backend), &[Family::V4])
            .unwrap()
            .rule_sets;
        assert_eq!(before, after);
        let nat = &after[0].tables[0];
        let counted = nat.chains.iter().flat_map(|chain| &chain.rules);
        assert!(
            counted.map(|rule| rule.counters.packets).sum::<u64>() > 0,
            "{backend}"
        );
        assert_eq!(drift(&wanted[0], &after[0], &OWNERSHIP), None);
    }
}

#[test]
fn other_rules_of_ours_are_replaced_and_foreign_rules_stay() {
    for backend in Backend::ALL {
        let netns = scratch();
        let suffix = suffix(backend);
        must(
            &netns,
            &format!("iptables-{suffix}-restore"),
            &["--noflush"],
            FOREIGN,
        );
        let foreign = saved(&netns, backend, Family::V4);

        let older = interception(&[
            ("traffic.sidecar.istio.io/excludeInterfaces", "net1,net2"),
            ("traffic.sidecar.istio.io/includeInboundPorts", "80"),
            ("istio.io/reroute-virtual-interfaces", "docker0"),
        ]);
        for wanted in [older, productpage()] {
            let wanted = rules(&wanted, Family::V4);
            apply(
                &netns,
                &xtables(),
                only(backend),
                Mesh::Istio,
                std::slice::from_ref(&wanted),
            )
            .unwrap();
            let found = read(&netns, &xtables(), only(backend), &[Family::V4]).unwrap();
            assert_eq!(drift(&wanted, &found.rule_sets[0], &OWNERSHIP), None);
            for line in foreign.lines().filter(|line| line.starts_with("-A")) {
                assert!(
                    saved(&netns, backend, Family::V4).contains(line),
                    "{backend}: {line}"
                );
            }
            assert!(
                !saved(&netns, backend, Family::V4).contains("net1") || wanted.rule_count() != 21
            );
        }

        let removed = remove(&netns, &xtables(), only(backend), Mesh::Istio).unwrap();
        assert_eq!(removed.change, Change::Removed);
        assert_eq!(saved(&netns, backend, Family::V4), foreign, "{backend}");
        let again = remove(&netns, &xtables(), only(backend), Mesh::Istio).unwrap();
        assert_eq!(again.change, Change::Unchanged);
    }
}

#[test]
fn both_families_are_applied_and_an_unwanted_family_is_removed() {
    for backend in Backend::ALL {
        let netns = scratch();
        let (four, six) = (
            rules(&productpage(), Family::V4),
            rules(&productpage(), Family::V6),
        );
        let both = [four.clone(), six];
        let applied = apply(&netns, &xtables(), only(backend), Mesh::Istio, &both).unwrap();
        assert_eq!(applied.change, Change::Created);
        let found = read(&netns, &xtables(), only(backend), &Family::ALL)
            .unwrap()
            .rule_sets;
        let mut pairs = both.iter().zip(&found);
        let difference = pairs.find_map(|(wanted, found)| drift(wanted, found, &OWNERSHIP));
        assert_eq!(difference, None, "{backend}");

        let applied = apply(&netns, &xtables(), only(backend), Mesh::Istio, &[four]).unwrap();
        assert_eq!(applied.change, Change::Replaced, "{backend}");
        assert!(!saved(&netns, backend, Family::V6).contains("ISTIO"));
    }
}

#[test]
fn rules_of_ours_in_one_back_end_block_the_other() {
    for (existing, chosen) in [
        (Backend::IptablesNft, Backend::IptablesLegacy),
        (Backend::IptablesLegacy, Backend::IptablesNft),
    ] {
        let netns = scratch();
        let wanted = [rules(&productpage(), Family::V4)];
        apply(&netns, &xtables(), only(existing), Mesh::Istio, &wanted).unwrap();
        let refused = apply(&netns, &xtables(), only(chosen), Mesh::Istio, &wanted);
        assert!(
            matches!(refused, Err(ApplyError::Elsewhere { .. })),
            "{refused:?}"
        );
        // Netlink replaces the rules of iptables-nft.
        let by = match existing {
            Backend::IptablesNft => Backend::Netlink,
            other => other,
        };
        let auto = apply(
            &netns,
            &xtables(),
            BackendChoice::Auto,
            Mesh::Istio,
            &wanted,
        )
        .unwrap();
        assert_eq!((auto.backend, auto.change), (by, Change::Unchanged));
        let removed = remove(&netns, &xtables(), BackendChoice::Auto, Mesh::Istio).unwrap();
        assert_eq!((removed.backend, removed.change), (by, Change::Removed));
    }
}

#[test]
fn many_namespaces_are_programmed_at_the_same_time() {
    for backend in Backend::ALL {
        let wanted = [rules(&productpage(), Family::V4)];
        let namespaces: Vec<_> = (0..16).map(|_| scratch()).collect();
        std::thread::scope(|scope| {
            for netns in &namespaces {
                let wanted = &wanted;
                scope.spawn(move || {
                    apply(netns, &xtables(), only(backend), Mesh::Istio, wanted).unwrap();
                });
            }
        });
        for netns in &namespaces {
            let found = read(netns, &xtables(), only(backend), &[Family::V4]).unwrap();
            assert_eq!(drift(&wanted[0], &found.rule_sets[0], &OWNERSHIP), None);
        }
    }
}

#[test]
fn the_passthrough_address_is_added_and_removed() {
    let netns = scratch();
    let choice = BackendChoice::Auto;
    let address = || must(&netns, "ip", &["-6", "address", "show", "dev", "lo"], "");
    let wanted = |family| [rules(&productpage(), family)];
    apply(&netns, &xtables(), choice, Mesh::Istio, &wanted(Family::V4)).unwrap();
    assert!(!address().contains("::6/128"), "{}", address());
    for _ in 0..2 {
        apply(&netns, &xtables(), choice, Mesh::Istio, &wanted(Family::V6)).unwrap();
        // Duplicate address detection would delay its use.
        let usable = "inet6 ::6/128 scope global nodad";
        assert!(address().contains(usable), "{}", address());
    }
    for _ in 0..2 {
        remove(&netns, &xtables(), choice, Mesh::Istio).unwrap();
        assert!(!address().contains("::6/128"), "{}", address());
    }
}
