//! The document's own steps: bookinfo with sidecars, requests through them, and the rules that make
//! it so.

use std::collections::BTreeMap;

use mesh_cni_rules::drift;
use mesh_cni_tests::productpage_rules;
use serde_json::{Value, json};

use crate::mesh::EXCLUDED;
use crate::workload::{self, OUTSIDE_PORT};
use crate::world::{MOST, NODE, World, address_of, name_of};

/// How many requests come from outside.
const REQUESTS: u64 = 30;

/// What `iptables` must list in each pod.
const DOCUMENTED: &str = include_str!("../../crates/rules/tests/anchor/documented-dump.nat.v4.txt");

pub(crate) fn roll_out(world: &mut World) {
    world.kubectl.apply(&workload::bookinfo().to_string());
    for (name, version, _) in workload::DEPLOYMENTS {
        let available = format!("deployment/{name}-{version} --for=condition=Available");
        world.kubectl.wait(&available, MOST);
    }
}

/// No pod may more than any other, and none has an init container that would.
pub(crate) fn nobody_is_privileged(world: &mut World) {
    for pod in world.pods("app,version") {
        assert_eq!(
            pod["spec"]["initContainers"],
            Value::Null,
            "{}",
            name_of(&pod)
        );
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            let context = &container["securityContext"];
            assert_eq!(
                context["capabilities"],
                json!({"drop": ["ALL"]}),
                "{container:#}"
            );
            assert_eq!(context["allowPrivilegeEscalation"], false, "{container:#}");
            assert_ne!(context["privileged"], true, "{container:#}");
        }
    }
}

/// Each sidecar counts the requests that come to its pod and those that leave it; both counters
/// move by as many as there were.
pub(crate) fn requests_pass_both_proxies(world: &mut World) {
    world.wait_for_services();
    let before = counters(world);
    for _ in 0..REQUESTS {
        let page = world.ask_from_outside(NODE, OUTSIDE_PORT);
        let start = "productpage v1\ndetails v1\nreviews v";
        assert!(page.starts_with(start), "{page}");
    }
    let after = counters(world);
    let moved = |name: &str| {
        let ends = [&before, &after].map(|counters| counters.get(name).copied().unwrap_or((0, 0)));
        (ends[1].0 - ends[0].0, ends[1].1 - ends[0].1)
    };
    assert_eq!(moved("productpage v1"), (REQUESTS, 2 * REQUESTS));
    assert_eq!(moved("details v1"), (REQUESTS, 0));
    let [plain, black, red] =
        ["v1", "v2", "v3"].map(|version| moved(&format!("reviews {version}")));
    assert_eq!(plain.0 + black.0 + red.0, REQUESTS);
    assert_eq!((plain.1, black.1, red.1), (0, black.0, red.0));
    assert_eq!(moved("ratings v1"), (black.0 + red.0, 0));
    assert!(
        black.0 + red.0 > 0,
        "no request of {REQUESTS} came to reviews v2 or v3"
    );
}

/// The document's steps: the proxy container's identifier, its process, and the command that lists.
pub(crate) fn the_documented_command_lists_the_documented_rules(world: &mut World) {
    for pod in world.pods("app,version") {
        let pid = world.pid(&pod, &"istio-proxy".into());
        let command = format!("nsenter -t {pid} -n iptables -L -t nat -n -v --line-numbers -x");
        let listed = world.node.enclosure().must(&command);
        assert_eq!(
            rules_of(&listed),
            rules_of(DOCUMENTED),
            "{}: {listed}",
            name_of(&pod)
        );
    }
}

/// Pods of a namespace that the plugin leaves alone program themselves, and end with the same.
pub(crate) fn excluded_namespaces_are_set_up_by_istio_init(world: &mut World) {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": EXCLUDED}
    });
    world.kubectl.apply(&namespace.to_string());
    let mut pod = workload::pod(EXCLUDED, "self-made");
    pod["spec"]["initContainers"] = json!([workload::istio_init()]);
    let objects = [workload::envoy_config(EXCLUDED), pod];
    world.kubectl.apply(&workload::list(objects).to_string());
    let pod = world.ready(EXCLUDED, "self-made");
    assert_eq!(drift(&productpage_rules(), &world.standing(&pod)), None);
    let page = world.ask_from_node(address_of(&pod), 9080, "/");
    assert_eq!(page, "self-made v1\n");
}

/// What each sidecar counted: requests that came to its pod, and requests that left it.
fn counters(world: &World) -> BTreeMap<String, (u64, u64)> {
    let pods = world.pods("app,version");
    let counted = pods.iter().map(|pod| {
        let labels = &pod["metadata"]["labels"];
        let label = |key: &str| labels[key].as_str().unwrap_or_default().to_owned();
        let name = format!("{} {}", label("app"), label("version"));
        (name, world.counters(pod))
    });
    counted.collect()
}

/// Each chain's rules in the document's words: counters and white space aside, protocols by name,
/// loopback addresses masked as the document masks them.
fn rules_of(listing: &str) -> BTreeMap<String, Vec<String>> {
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
