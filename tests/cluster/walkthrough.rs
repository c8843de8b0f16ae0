//! The documented steps: bookinfo with sidecars, requests through them, and their rules.

use std::collections::BTreeMap;

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::productpage_rules;
use serde_json::{Value, json};

use crate::mesh::EXCLUDED;
use crate::test_cluster::{MOST, NODE, Requests, TestCluster, address_of, name_of};
use crate::verify::{DOCUMENTED, rules_of};
use crate::workload::{self, OUTSIDE_PORT};

/// The counters of each sidecar, by its pod's service and version.
pub(crate) type Hops = BTreeMap<String, Requests>;

/// The number of requests from outside.
pub(crate) const REQUESTS: u64 = 30;

pub(crate) fn roll_out(cluster: &mut TestCluster) {
    cluster.kubectl.apply(&workload::bookinfo().to_string());
    for (name, version, _) in workload::DEPLOYMENTS {
        let available = format!("deployment/{name}-{version} --for=condition=Available");
        cluster.kubectl.wait(&available, MOST);
    }
}

/// No pod has privileges, not even in an init container.
pub(crate) fn no_pod_is_privileged(cluster: &mut TestCluster) {
    for pod in cluster.pods("app,version") {
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

/// Each sidecar counts the requests to and from its pod; both counters increase by the number of
/// requests.
pub(crate) fn requests_pass_both_proxies(cluster: &mut TestCluster) {
    cluster.wait_for_services();
    let before = hops(cluster);
    for _ in 0..REQUESTS {
        let page = cluster.ask_from_outside(NODE, OUTSIDE_PORT);
        let start = "productpage v1\ndetails v1\nreviews v";
        assert!(page.starts_with(start), "{page}");
    }
    assert_moved(&before, &hops(cluster));
}

/// The counters before and after [`REQUESTS`] pages.
pub(crate) fn assert_moved(before: &Hops, after: &Hops) {
    let moved = |name: &str| {
        let [before, after] =
            [before, after].map(|hops| hops.get(name).copied().unwrap_or_default());
        (after.came - before.came, after.left - before.left)
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

/// The documented steps: the proxy container's ID, its process, and the command that lists the rules.
pub(crate) fn the_documented_command_lists_the_documented_rules(cluster: &mut TestCluster) {
    for pod in cluster.pods("app,version") {
        let pid = cluster.pid(&pod, &"istio-proxy".into());
        let command = format!("nsenter -t {pid} -n iptables -L -t nat -n -v --line-numbers -x");
        let listed = cluster.node.isolated_host().must(&command);
        assert_eq!(
            rules_of(&listed),
            rules_of(DOCUMENTED),
            "{}: {listed}",
            name_of(&pod)
        );
    }
}

/// Pods of an excluded namespace are programmed by `istio-init`, with the same rules.
pub(crate) fn excluded_namespaces_are_set_up_by_istio_init(cluster: &mut TestCluster) {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": EXCLUDED}
    });
    cluster.kubectl.apply(&namespace.to_string());
    let mut pod = workload::pod(EXCLUDED, "self-made");
    pod["spec"]["initContainers"] = json!([workload::istio_init()]);
    let objects = [workload::envoy_config(EXCLUDED), pod];
    cluster.kubectl.apply(&workload::list(objects).to_string());
    let pod = cluster.ready(EXCLUDED, "self-made");
    assert_eq!(
        drift(&productpage_rules(), &cluster.live_rules(&pod), &OWNERSHIP),
        None
    );
    let page = cluster.ask_from_node(address_of(&pod), 9080, "/");
    assert_eq!(page, "self-made v1\n");
}

fn hops(cluster: &TestCluster) -> Hops {
    let pods = cluster.pods("app,version");
    let counted = pods.iter();
    counted
        .map(|pod| (workload::version_of(pod), cluster.counters(pod)))
        .collect()
}
