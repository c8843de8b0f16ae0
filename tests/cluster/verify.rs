//! `mesh-cnictl verify`: one command in the place of the document's four steps.

use std::collections::BTreeMap;

use mesh_cni_netfilter::Listing;
use mesh_cni_tests::{Finished, finish, mesh_cnictl, must};
use serde_json::Value;

use crate::mesh::EXCLUDED;
use crate::workload;
use crate::world::{World, address_of, name_of};

/// What must be listed in each pod of the sample.
pub(crate) const DOCUMENTED: &str =
    include_str!("../../crates/rules/tests/anchor/documented-dump.nat.v4.txt");

/// By the pod's name, by its proxy's container as Kubernetes prints it and by the first digits of
/// its id, and by a process of it: each finds the pod, prints the documented dump and finds that it
/// is as it should be.
pub(crate) fn one_command_in_the_place_of_four_steps(world: &mut World) {
    let documented = rules_of(DOCUMENTED);
    let rules: usize = documented.values().map(Vec::len).sum();
    for pod in world.pods("app,version") {
        let container = container_id(&pod, "istio-proxy");
        let pid = world.pid(&pod, &"istio-proxy".into()).to_string();
        for place in [
            ["--pod", &full_name(&pod)],
            ["--container", &container],
            ["--container", &container["containerd://".len()..][..12]],
            ["--pid", &pid],
        ] {
            let told = verify(world, place);
            let verdict = format!(
                "as wanted: {}: all {rules} rules of IPv4 stand\n",
                full_name(&pod)
            );
            assert_eq!(told.code, 0, "{place:?}: {}", told.stderr);
            assert!(
                told.stderr.ends_with(&verdict),
                "{place:?}: {}",
                told.stderr
            );
            assert_eq!(rules_of(&told.stdout), documented, "{place:?}");
        }
    }
}

/// A request to the pod moves the counter of the rule that sends it to the proxy.
pub(crate) fn counters_are_live(world: &mut World) {
    let pod = world.pods("app=details").remove(0);
    let redirected = || {
        let told = verify(world, ["--pod", &full_name(&pod)]);
        let listing = Listing::parse(&told.stdout).expect("it prints one listing");
        let mut chains = listing.chains.into_iter();
        let chain = chains.find(|chain| chain.name == "ISTIO_IN_REDIRECT");
        chain.expect("it is listed").rules[0].counters.packets
    };
    let before = redirected();
    for more in 1..=3 {
        world.ask_from_node(address_of(&pod), 9080, "/");
        assert_eq!(redirected(), before + more);
    }
}

/// Somebody deletes a rule: the command names it, says what becomes of a packet, and what helps.
pub(crate) fn it_explains_the_first_difference(world: &mut World) {
    let pod = workload::idle("default", "changed");
    world.kubectl.apply(&pod.to_string());
    let pod = world.ready("default", "changed");
    let place = ["--pod", "default/changed"];
    assert_eq!(verify(world, place).code, 0);
    must(&world.netns(&pod), "iptables-nft -t nat -D ISTIO_INBOUND 6");
    let told = verify(world, place);
    let packet = format!("in tcp {}:8080 from 192.0.2.20:40000", address_of(&pod));
    assert_eq!(told.code, 1, "{}", told.stderr);
    for words in [
        "not as wanted: default/changed: IPv4, table nat, chain ISTIO_INBOUND: rule 6 is missing",
        &format!("so: `{packet}`\n  wanted: "),
        "hint: delete the pod, so that it starts anew",
    ] {
        assert!(told.stderr.contains(words), "{words}: {}", told.stderr);
    }
    let json = verify_with(world, place, &["--output", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).expect("it prints JSON");
    assert_eq!(json["verdict"], "not-as-wanted");
    assert_eq!(json["stray"]["packet"], packet);
    world.kubectl.must("delete pod changed --wait");
    // What is not there any more is found by nobody.
    assert_eq!(verify(world, place).code, 3);
}

/// A pod with an `istio-init` of its own is held against that; one without a proxy needs nothing.
pub(crate) fn it_knows_who_sets_a_pod_up(world: &mut World) {
    let told = verify(world, ["--pod", &format!("{EXCLUDED}/self-made")]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let by = "its istio-init container programs it";
    assert!(told.stderr.contains(by), "{}", told.stderr);
    let mut pod = workload::idle("default", "plain");
    pod["spec"]["containers"][1]["name"] = "assistant".into();
    world.kubectl.apply(&pod.to_string());
    world.ready("default", "plain");
    let told = verify(world, ["--pod", "default/plain"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let none = "default/plain gets no rules, and none stand";
    assert!(told.stderr.contains(none), "{}", told.stderr);
    world.kubectl.must("delete pod plain");
}

/// The command says that this pod is as it should be.
pub(crate) fn assert_as_wanted(world: &World, pod: &Value) {
    let told = verify(world, ["--pod", &full_name(pod)]);
    assert_eq!(told.code, 0, "{}", told.stderr);
}

/// Runs it on the node.
fn verify(world: &World, place: [&str; 2]) -> Finished {
    verify_with(world, place, &[])
}

fn verify_with(world: &World, place: [&str; 2], more: &[&str]) -> Finished {
    let mut command = world.node.enclosure().command(mesh_cnictl());
    finish(command.arg("verify").args(place).args(more), "")
}

/// The container's identifier, with the runtime's name before it.
fn container_id(pod: &Value, name: &str) -> String {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let mut statuses = statuses.into_iter().flatten();
    let status = statuses.find(|status| status["name"] == name);
    let id = status.and_then(|status| status["containerID"].as_str());
    id.unwrap_or_else(|| panic!("no {name} in {pod:#}"))
        .to_owned()
}

/// `namespace/name`.
fn full_name(pod: &Value) -> String {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    format!("{namespace}/{}", name_of(pod))
}

/// Each chain's rules in the document's words: counters and white space aside, protocols by name,
/// loopback addresses masked as the document masks them.
pub(crate) fn rules_of(listing: &str) -> BTreeMap<String, Vec<String>> {
    let mut chains = BTreeMap::new();
    let mut chain = String::new();
    for line in listing.lines() {
        let mut words: Vec<_> = line.split_whitespace().map(masked).collect();
        match words.first().map(String::as_str) {
            None | Some("num") => {}
            Some("Chain") => {
                chain.clone_from(&words[1]);
                chains.insert(chain.clone(), Vec::new());
            }
            Some(_) => {
                words.drain(1..3);
                words[2] = protocol(&words[2]);
                chains
                    .entry(chain.clone())
                    .or_default()
                    .push(words.join(" "));
            }
        }
    }
    chains
}

fn masked(word: &str) -> String {
    word.replace("127.0.0.6", "127.0.X.X")
        .replace("127.0.0.1", "127.0.X.X")
}

/// iptables 1.8.9 prints protocols as numbers.
fn protocol(word: &str) -> String {
    let name = match word {
        "0" => "all",
        "6" => "tcp",
        "17" => "udp",
        other => other,
    };
    name.to_owned()
}
