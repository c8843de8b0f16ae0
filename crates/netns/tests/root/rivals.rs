//! Programs that change the same rules at the same time, and refusals in the middle of a batch.

use std::process::{Child, Command};
use std::thread;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{drift, parse};
use mesh_cni_netns::{ApplyError, Backend, NetNs, apply, read};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::OWNERSHIP;

use crate::support::{interception, must, only, productpage, rules, saved, scratch, xtables};

const OVER_NETLINK: [Backend; 2] = [Backend::Netlink, Backend::NftNative];

/// How many rules the other program adds, in one transaction each.
const ADDED: usize = 60;

/// A program that adds its own rules to a table of iptables, one at a time.
fn writer(netns: &NetNs) -> Child {
    must(
        netns,
        "nft",
        &["add table ip nat; add chain ip nat THEIRS"],
        "",
    );
    let script = "for ((n = 0; n < $0; n++)); do \
        nft add rule ip nat THEIRS tcp dport 9 counter || exit 1; done";
    let spawn = || {
        Command::new("bash")
            .args(["-c", script, &ADDED.to_string()])
            .spawn()
    };
    let child = netns.run(spawn).expect("the namespace can be entered");
    child.expect("bash is installed")
}

#[test]
fn rules_are_applied_while_another_program_writes_and_its_rules_survive() {
    let older = interception(&[("traffic.sidecar.istio.io/excludeOutboundPorts", "1,2,3")]);
    let netns = scratch();
    let mut writer = writer(&netns);
    let mut turns = 0;
    let status = loop {
        let backend = OVER_NETLINK[turns % 2];
        let wanted = if turns % 4 < 2 {
            &older
        } else {
            &productpage()
        };
        let wanted = [Family::V4, Family::V6].map(|family| rules(wanted, family));
        apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).expect("it is retried");
        let found = read(&netns, &xtables(), only(backend), &Family::ALL);
        let found = found.expect("it is retried").rule_sets;
        for (wanted, found) in wanted.iter().zip(&found) {
            assert_eq!(drift(wanted, found, &OWNERSHIP), None, "turn {turns}");
        }
        turns += 1;
        if let Some(status) = writer.try_wait().expect("it was started") {
            break status;
        }
    };
    assert!(status.success() && turns > 1, "{status}, {turns} turns");
    let saved = saved(&netns, Backend::Netlink, Family::V4);
    let theirs = saved.lines().filter(|line| line.starts_with("-A THEIRS"));
    assert_eq!(theirs.count(), ADDED);
}

#[test]
fn two_concurrent_calls_leave_the_rules_of_one() {
    let one = [rules(&productpage(), Family::V4)];
    let other = interception(&[("traffic.sidecar.istio.io/excludeOutboundPorts", "1,2,3")]);
    let other = [rules(&other, Family::V4)];
    for backends in [
        [Backend::Netlink, Backend::Netlink],
        [Backend::Netlink, Backend::NftNative],
        [Backend::NftNative, Backend::NftNative],
    ] {
        let netns = scratch();
        thread::scope(|scope| {
            for (backend, wanted) in backends.into_iter().zip([&one, &other]) {
                let netns = &netns;
                scope.spawn(move || {
                    for _ in 0..40 {
                        apply(netns, &xtables(), only(backend), Mesh::Istio, wanted)
                            .expect("it is retried");
                    }
                });
            }
        });
        let is_live = |backend, wanted| {
            let found = read(&netns, &xtables(), only(backend), &[Family::V4]).unwrap();
            drift(wanted, &found.rule_sets[0], &OWNERSHIP).is_none()
        };
        let (one, other) = (
            is_live(backends[0], &one[0]),
            is_live(backends[1], &other[0]),
        );
        assert!(one != other, "{backends:?}: {one} {other}");
    }
}

#[test]
fn a_refusal_names_its_rule_and_the_batch_changes_nothing() {
    // Incoming packets have no owner yet.
    let text = "*nat\n:PREROUTING ACCEPT [0:0]\n:ISTIO_INBOUND - [0:0]\n\
        -A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN\n\
        -A PREROUTING -m owner --uid-owner 1337 -j ISTIO_INBOUND\nCOMMIT\n";
    let wanted = [parse::save(text, Family::V4).unwrap()];
    let netns = scratch();
    let refused = apply(
        &netns,
        &xtables(),
        only(Backend::Netlink),
        Mesh::Istio,
        &wanted,
    )
    .unwrap_err();
    assert!(matches!(refused, ApplyError::NoneWorks(_)), "{refused:?}");
    insta::assert_snapshot!(refused.to_string(), @"no back end works: netlink: the kernel refused `add rule ip nat PREROUTING -m owner --uid-owner 1337 -j ISTIO_INBOUND`: EINVAL: Invalid argument");
    assert_eq!(must(&netns, "nft", &["list", "ruleset"], ""), "");
}
