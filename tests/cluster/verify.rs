//! `mesh-cnictl verify`: one command instead of the documented four steps.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use mesh_cni_netfilter::Listing;
use mesh_cni_tests::{Finished, finish, mesh_cnictl, must};
use serde_json::Value;

use crate::mesh::{AGENT, EXCLUDED};
use crate::test_cluster::{TestCluster, address_of, name_of};
use crate::workload;

/// The rules that must be listed in each pod of the sample.
pub(crate) const DOCUMENTED: &str =
    include_str!("../../crates/rules/tests/anchor/documented-dump.nat.v4.txt");

/// Finds the pod by its name, by its proxy's container ID as Kubernetes prints it, by the first digits of
/// that ID, and by a process. Each prints the documented rules and confirms them. In the agent's pod it does so
/// without flags for the node's directories.
pub(crate) fn one_command_instead_of_four_steps(cluster: &mut TestCluster) {
    let documented = rules_of(DOCUMENTED);
    let rules: usize = documented.values().map(Vec::len).sum();
    for pod in cluster.pods("app,version") {
        let container = container_id(&pod, "istio-proxy");
        let pid = cluster.pid(&pod, &"istio-proxy".into()).to_string();
        for place in [
            ["--pod", &full_name(&pod)],
            ["--container", &container],
            ["--container", &container["containerd://".len()..][..12]],
            ["--pid", &pid],
        ] {
            let told = verify(cluster, place);
            let verdict = format!(
                "as wanted: {}: all {rules} rules of IPv4 are installed\n",
                full_name(&pod)
            );
            assert_eq!(told.code, 0, "{place:?}: {}", told.stderr);
            assert!(told.stderr.contains(&verdict), "{place:?}: {}", told.stderr);
            assert_eq!(rules_of(&told.stdout), documented, "{place:?}");
        }
        let confirmed = in_agents_pod(cluster, &format!("verify --pod {}", full_name(&pod)));
        assert_eq!(confirmed.code, 0, "{}", confirmed.stderr);
        assert_eq!(rules_of(&confirmed.stdout), documented);
    }
    let status = in_agents_pod(cluster, "status");
    assert_eq!(status.code, 0, "{}{}", status.stdout, status.stderr);
}

/// A request to the pod increases the counter of the rule that redirects it.
pub(crate) fn counters_are_live(cluster: &mut TestCluster) {
    let pod = cluster.pods("app=details").remove(0);
    let redirected = || {
        let told = verify(cluster, ["--pod", &full_name(&pod)]);
        let listing = Listing::parse(&told.stdout).expect("it prints one listing");
        let mut chains = listing.chains.into_iter();
        let chain = chains.find(|chain| chain.name == "ISTIO_IN_REDIRECT");
        chain.expect("it is listed").rules[0].counters.packets
    };
    let before = redirected();
    for more in 1..=3 {
        cluster.ask_from_node(address_of(&pod), 9080, "/");
        assert_eq!(redirected(), before + more);
    }
}

/// If a rule is deleted, the command names it, shows where a packet goes, and says what to do.
pub(crate) fn it_explains_the_first_difference(cluster: &mut TestCluster) {
    let pod = workload::idle("default", "changed");
    cluster.kubectl.apply(&pod.to_string());
    let pod = cluster.ready("default", "changed");
    let place = ["--pod", "default/changed"];
    assert_eq!(verify(cluster, place).code, 0);
    must(
        &cluster.netns(&pod),
        "iptables-nft -t nat -D ISTIO_INBOUND 6",
    );
    let told = verify(cluster, place);
    let packet = format!("in tcp {}:8080 from 192.0.2.20:40000", address_of(&pod));
    assert_eq!(told.code, 1, "{}", told.stderr);
    for words in [
        "not as wanted: default/changed: IPv4, table nat, chain ISTIO_INBOUND: rule 6 is missing",
        &format!("effect: `{packet}`\n  wanted: "),
        "hint: delete the pod so that it is recreated",
    ] {
        assert!(told.stderr.contains(words), "{words}: {}", told.stderr);
    }
    let json = verify_with(cluster, place, &["--output", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).expect("it prints JSON");
    assert_eq!(json["verdict"], "not-as-wanted");
    assert_eq!(json["misrouted"]["packet"], packet);
    cluster.kubectl.must("delete pod changed --wait");
    // A pod that no longer exists is not found. Its sandbox may exist for a moment longer.
    let mut last = verify(cluster, place);
    for _ in 0..150 {
        if last.code == 2 {
            break;
        }
        thread::sleep(Duration::from_millis(200));
        last = verify(cluster, place);
    }
    assert_eq!(last.code, 2, "{}{}", last.stdout, last.stderr);
}

/// A pod with `istio-init` is compared with its arguments; a pod without a proxy needs no rules.
pub(crate) fn it_knows_what_programs_a_pod(cluster: &mut TestCluster) {
    let told = verify(cluster, ["--pod", &format!("{EXCLUDED}/self-made")]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let by = "istio-init container applies its rules";
    assert!(told.stderr.contains(by), "{}", told.stderr);
    let mut pod = workload::idle("default", "plain");
    pod["spec"]["containers"][1]["name"] = "assistant".into();
    cluster.kubectl.apply(&pod.to_string());
    cluster.ready("default", "plain");
    let told = verify(cluster, ["--pod", "default/plain"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let none = "default/plain gets no rules, and has none";
    assert!(told.stderr.contains(none), "{}", told.stderr);
    cluster.kubectl.must("delete pod plain");
}

/// Checks that the command confirms the pod.
pub(crate) fn assert_as_wanted(cluster: &TestCluster, pod: &Value) {
    let told = verify(cluster, ["--pod", &full_name(pod)]);
    assert_eq!(told.code, 0, "{}", told.stderr);
}

/// Runs `mesh-cnictl` in the agent's pod.
fn in_agents_pod(cluster: &TestCluster, words: &str) -> Finished {
    let words = format!("exec {AGENT} -- mesh-cnictl {words}");
    cluster.kubectl.run(words.split(' '), "")
}

/// Runs the command on the node.
fn verify(cluster: &TestCluster, place: [&str; 2]) -> Finished {
    verify_with(cluster, place, &[])
}

fn verify_with(cluster: &TestCluster, place: [&str; 2], more: &[&str]) -> Finished {
    let mut command = cluster.node.isolated_host().command(mesh_cnictl());
    finish(command.arg("verify").args(place).args(more), "")
}

/// The container's ID, prefixed with the runtime's name.
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

/// Each chain's rules as the document prints them: without counters, with folded white space, protocol
/// names, and masked loopback addresses.
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
