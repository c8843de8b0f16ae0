//! The rules of ambient pods: marks of connections, and policy routing with mask and priority.

use mesh_cni_netfilter::drift;
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netns::{Backend, Change, NetNs, apply, read, remove};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::ambient::{EarlierConnections, Interception, OWNERSHIP, compile, is_ambient};

use crate::support::{in_namespace, must, only, productpage, rules, saved, scratch, xtables};

const OTHERS: [Backend; 2] = [Backend::IptablesNft, Backend::IptablesLegacy];

fn ambient(interception: &Interception) -> [RuleSet; 2] {
    Family::ALL.map(|family| compile(interception, family))
}

fn found(netns: &NetNs, backend: Backend) -> Vec<RuleSet> {
    let read = read(netns, &xtables(), only(backend), &Family::ALL);
    read.unwrap().rule_sets
}

/// The routing of both families, as `ip` prints it.
fn routing(netns: &NetNs) -> String {
    let list = |family, arguments: &[&str]| {
        let arguments: Vec<_> = [family].iter().chain(arguments).copied().collect();
        let output = in_namespace(netns, "ip", &arguments, "");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let ours = text
            .lines()
            .filter(|line| line.contains("fwmark") || line.starts_with("local default"));
        ours.fold(String::new(), |text, line| {
            text + family + " " + line.trim() + "\n"
        })
    };
    let of_family =
        |family| list(family, &["rule"]) + &list(family, &["route", "list", "table", "100"]);
    of_family("-4") + &of_family("-6")
}

#[test]
fn rules_are_read_as_they_were_written_and_removed_without_a_trace() {
    let keep = Interception {
        earlier_connections: EarlierConnections::Keep,
        reroute_interfaces: vec!["net1".parse().unwrap()],
        ..Interception::default()
    };
    for (backend, interception) in Backend::ALL
        .into_iter()
        .flat_map(|backend| [(backend, Interception::default()), (backend, keep.clone())])
    {
        let netns = scratch();
        let wanted = ambient(&interception);
        let first = apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
        assert_eq!(first.change, Change::Created, "{backend}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(routing(&netns), @"
            -4 32764:	from all fwmark 0x111/0xfff lookup 100 proto boot
            -4 local default dev lo scope host
            -6 32764:	from all fwmark 0x111/0xfff lookup 100 proto boot
            -6 local default dev lo metric 1024 pref medium
            ");
        }
        for (wanted, found) in wanted.iter().zip(&found(&netns, backend)) {
            assert_eq!(drift(wanted, found, OWNERSHIP), None, "{backend}");
            assert!(is_ambient(found), "{backend}");
        }
        let again = apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
        assert_eq!(again.change, Change::Unchanged, "{backend}");
        remove(&netns, &xtables(), only(backend), Mesh::Istio).unwrap();
        assert_eq!(routing(&netns), "", "{backend}");
        for backend in OTHERS {
            assert!(!saved(&netns, backend, Family::V4).contains("ISTIO"));
        }
    }
}

/// The encoding of `netlink` is that of `iptables-nft`: it reads the rules, and each replaces none of the
/// other's.
#[test]
fn iptables_writes_the_same_rules() {
    let wanted = ambient(&Interception::default());
    for [first, second] in [
        [Backend::Netlink, Backend::IptablesNft],
        [Backend::IptablesNft, Backend::Netlink],
    ] {
        let netns = scratch();
        apply(&netns, &xtables(), only(first), Mesh::Istio, &wanted).unwrap();
        let again = apply(&netns, &xtables(), only(second), Mesh::Istio, &wanted).unwrap();
        assert_eq!(again.change, Change::Unchanged, "{first}, {second}");
        let text = saved(&netns, Backend::IptablesNft, Family::V4);
        let marks = "-A ISTIO_PRERT -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff";
        assert!(text.contains(marks), "{first}: {text}");
    }
}

#[test]
fn a_pod_changes_between_ambient_mode_and_a_sidecar() {
    for backend in Backend::ALL {
        let netns = scratch();
        let sidecar = Family::ALL.map(|family| rules(&productpage(), family));
        let ambient = ambient(&Interception::default());
        for (wanted, routes) in [(&ambient, 4), (&sidecar, 0), (&ambient, 4)] {
            apply(&netns, &xtables(), only(backend), Mesh::Istio, wanted).unwrap();
            for (wanted, found) in wanted.iter().zip(&found(&netns, backend)) {
                assert_eq!(drift(wanted, found, OWNERSHIP), None, "{backend}");
            }
            assert_eq!(routing(&netns).lines().count(), routes, "{backend}");
        }
    }
}

#[test]
fn a_routing_rule_of_another_priority_is_replaced_whoever_added_it() {
    for other in [
        ["pref", "100", "fwmark", "0x111/0xfff"],
        ["pref", "40000", "fwmark", "0x111/0xfff"],
    ] {
        let netns = scratch();
        let wanted = ambient(&Interception::default());
        apply(
            &netns,
            &xtables(),
            only(Backend::Netlink),
            Mesh::Istio,
            &wanted,
        )
        .unwrap();
        must(&netns, "ip", &["rule", "del", "pref", "32764"], "");
        let rule: Vec<_> = ["rule", "add"].iter().chain(&other).copied().collect();
        let rule = [rule.as_slice(), &["lookup", "100"]].concat();
        must(&netns, "ip", &rule, "");
        apply(
            &netns,
            &xtables(),
            only(Backend::Netlink),
            Mesh::Istio,
            &wanted,
        )
        .unwrap();
        let rules = must(&netns, "ip", &["rule"], "");
        let ours = rules.lines().filter(|line| line.contains("fwmark"));
        assert_eq!(ours.count(), 1, "{rules}");
        assert!(
            rules.contains("32764:\tfrom all fwmark 0x111/0xfff lookup 100"),
            "{rules}"
        );
    }
}
