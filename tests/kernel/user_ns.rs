//! Pods in a user namespace (`hostUsers: false`): their rules name the pod's users and match them.

use mesh_cni_netfilter::drift;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{Backend, BackendChoice, Change, Xtables, apply, read, remove};
use mesh_cni_rules::{Mesh, ownership};
use mesh_cni_tests::{PodNet, Scenario, Sender, UserNs, must, productpage_rules};

use crate::traffic::{ON_PEER, ON_POD, connections, xtables};

#[test]
fn the_pods_own_users_are_matched() {
    for backend in Backend::ALL {
        let users = UserNs::new();
        let net = PodNet::of(users.netns());
        net.listen(&ON_POD, &ON_PEER);
        let choice = BackendChoice::Only(backend);
        let applied = apply(
            &net.pod,
            &xtables(),
            choice,
            Mesh::Istio,
            &[productpage_rules()],
        );
        let change = applied.map(|applied| applied.change).ok();
        assert_eq!(change, Some(Change::Created), "{backend}");
        for connection in connections() {
            let arrival = if connection.from_pod {
                let command = users.command(connection.sender);
                net.connect_by(command, &net.pod, connection.to)
            } else {
                net.connect(&net.peer, connection.sender, connection.to)
            };
            let arrival = arrival.map(|arrival| (arrival.side, arrival.port));
            let (side, port) = connection.arrives;
            let expected = Some((side.to_owned(), port));
            assert_eq!(arrival, expected, "{backend}: {}", connection.story);
        }
        // The pod's proxy has another UID on the node, and the node's user with UID 1337 does not
        // exist in the pod.
        let of_node = |user, group| {
            let sender = Sender { user, group };
            let arrival = net.connect(&net.pod, sender, (PodNet::PEER, 9080));
            arrival.map(|arrival| arrival.port)
        };
        let proxy = UserNs::FIRST + 1337;
        assert_eq!(of_node(proxy, proxy), Some(9080), "{backend}");
        assert_eq!(of_node(1337, 1337), Some(15001), "{backend}");
    }
}

#[test]
fn every_scenario_is_applied_and_removed_there() {
    for backend in Backend::ALL {
        let choice = BackendChoice::Only(backend);
        for scenario in Scenario::all() {
            let what = format!("{} by {backend}", scenario.name);
            let mesh = scenario.mesh();
            let users = UserNs::new();
            let netns = users.netns();
            must(&netns, "ip link set lo up");
            let wanted = Family::ALL.map(|family| scenario.rules(family));
            let applied = apply(&netns, &xtables(), choice, mesh, &wanted).expect(&what);
            assert_eq!(applied.change, Change::Created, "{what}");
            let found = read(&netns, &xtables(), choice, &Family::ALL).expect(&what);
            for (wanted, found) in wanted.iter().zip(&found.rule_sets) {
                assert_eq!(drift(wanted, found, ownership(mesh)), None, "{what}");
            }
            let again = apply(&netns, &xtables(), choice, mesh, &wanted).expect(&what);
            assert_eq!(again.change, Change::Unchanged, "{what}");
            remove(&netns, &xtables(), choice, mesh).expect(&what);
            let left = read(&netns, &xtables(), choice, &Family::ALL).expect(&what);
            let mut rules = left.rule_sets.iter();
            assert!(rules.all(|rules| rules.rule_count() == 0), "{what}");
        }
    }
}

#[test]
fn a_process_in_the_user_namespace_can_apply_rules_itself() {
    let users = UserNs::new();
    let none = Xtables::in_directories(Vec::new());
    let choice = BackendChoice::Only(Backend::Netlink);
    apply(
        &users.netns(),
        &none,
        choice,
        Mesh::Istio,
        &[productpage_rules()],
    )
    .unwrap();
    // iptables in the namespace lists what was written from outside.
    let mut command = users.command(Sender::ROOT);
    let output = command.arg("iptables-nft-save").output().unwrap();
    let saved = String::from_utf8_lossy(&output.stdout);
    assert!(saved.contains("--uid-owner 1337"), "{saved}");
}
