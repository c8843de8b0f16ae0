//! Namespaces in states that `iptables` does not make: earlier commits, and chains without their hook.

use mesh_cni_netfilter::ruleset::{BuiltinChain, Family, TableName};
use mesh_cni_netfilter::{Drift, drift};
use mesh_cni_netns::{Backend, Change, NetNs, apply, read};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::OWNERSHIP;

use crate::support::{interception, must, only, productpage, rules, saved, scratch, xtables};

const OVER_NETLINK: [Backend; 2] = [Backend::Netlink, Backend::NftNative];

fn nft(netns: &NetNs, script: &str) {
    must(netns, "nft", &["-f", "-"], script);
}

fn found_drift(netns: &NetNs, backend: Backend) -> Result<Option<Drift>, String> {
    let found = read(netns, &xtables(), only(backend), &[Family::V4]);
    let found = found.map_err(|error| error.to_string())?;
    let wanted = rules(&productpage(), Family::V4);
    Ok(drift(&wanted, &found.rule_sets[0], &OWNERSHIP))
}

/// The first batch is for a namespace whose rules nobody has changed; here somebody has.
#[test]
fn rules_are_applied_once_whatever_was_committed_before() {
    let wanted = [rules(&productpage(), Family::V4)];
    let older = [rules(
        &interception(&[("traffic.sidecar.istio.io/excludeOutboundPorts", "1,2,3")]),
        Family::V4,
    )];
    for backend in OVER_NETLINK {
        let apply = |netns: &NetNs, wanted: &[_]| {
            let applied = apply(netns, &xtables(), only(backend), Mesh::Istio, wanted);
            applied.unwrap().change
        };
        let nothing_left = scratch();
        nft(&nothing_left, "add table ip other\ndelete table ip other\n");
        assert_eq!(apply(&nothing_left, &wanted), Change::Created);

        let foreign = scratch();
        let theirs = "table ip nat {\n\tchain PREROUTING {\n\t\t\
            type nat hook prerouting priority dstnat; policy accept;\n\t\ttcp dport 7 return\n\t}\n}\n";
        nft(&foreign, theirs);
        assert_eq!(apply(&foreign, &wanted), Change::Created);
        let kept = must(
            &foreign,
            "nft",
            &["list", "chain", "ip", "nat", "PREROUTING"],
            "",
        );
        assert!(kept.contains("tcp dport 7 return"), "{backend}: {kept}");

        let ours = scratch();
        assert_eq!(apply(&ours, &older), Change::Created);
        assert_eq!(apply(&ours, &wanted), Change::Replaced);

        let first = scratch();
        assert_eq!(apply(&first, &wanted), Change::Created);
        assert_eq!(
            saved(&ours, backend, Family::V4),
            saved(&first, backend, Family::V4),
            "{backend}"
        );
        for netns in [&nothing_left, &foreign, &ours, &first] {
            assert_eq!(apply(netns, &wanted), Change::Unchanged, "{backend}");
            assert_eq!(found_drift(netns, backend), Ok(None), "{backend}");
        }
    }
}

#[test]
fn a_chain_without_its_hook_is_a_difference() {
    let wanted = [rules(&productpage(), Family::V4)];
    for (backend, table) in [
        (Backend::Netlink, "nat"),
        (Backend::NftNative, "mesh-cni-nat"),
        (Backend::IptablesNft, "nat"),
    ] {
        for declaration in [
            "",
            "{ type nat hook prerouting priority 50; }",
            "{ type nat hook output priority -100; }",
        ] {
            let netns = scratch();
            let apply = || apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted);
            apply().unwrap();
            assert_eq!(found_drift(&netns, backend), Ok(None), "{backend}");
            // The rule is as ours, but packets do not reach it, or not at that place.
            let chain = format!("chain ip {table} PREROUTING");
            let rule = format!("rule ip {table} PREROUTING");
            nft(
                &netns,
                &format!(
                    "flush {chain}\ndelete {chain}\nadd {chain} {declaration}\n\
                     add {rule} meta l4proto tcp counter jump ISTIO_INBOUND\n"
                ),
            );
            let difference = Drift::NoHook {
                table: TableName::Nat,
                chain: BuiltinChain::Prerouting.into(),
            };
            let case = format!("{backend} {declaration}");
            let found = found_drift(&netns, backend);
            if backend == Backend::IptablesNft {
                // iptables prints the chain twice, or without its rules.
                assert_ne!(found, Ok(None), "{case}");
            } else {
                assert_eq!(found, Ok(Some(difference)), "{case}");
            }
            // Tables of our own are replaced. The kernel keeps the hook of a chain in iptables' table.
            match (backend, apply()) {
                (Backend::NftNative, applied) => {
                    assert_eq!(applied.unwrap().change, Change::Replaced, "{case}");
                    assert_eq!(found_drift(&netns, backend), Ok(None), "{case}");
                }
                (_, applied) => assert!(applied.is_err(), "{case}: {applied:?}"),
            }
        }
    }
}
