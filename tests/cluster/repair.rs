//! Pods that start before the plugin, and the agent that repairs them.

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::productpage_rules;
use serde_json::{Value, json};

use crate::test_cluster::{MOST, TestCluster, address_of};
use crate::workload;
use crate::{images, mesh};

/// The port of every service of the sample.
const PORT: u16 = 9080;

/// A pod that runs without validation of its rules.
const EARLY: &str = "early";

/// A pod that waits for valid rules.
const PROVEN: &str = "early-proven";

/// The agent repairs a running pod and one whose validation fails. No container of the running pod
/// restarts, and neither pod is re-created.
pub(crate) fn in_place(cluster: &mut TestCluster) {
    mesh::disable(cluster);
    for pod in [workload::pod("default", EARLY), proven()] {
        cluster.kubectl.apply(&pod.to_string());
    }
    let early = cluster.ready("default", EARLY);
    assert_eq!(cluster.live_rules(&early).tables.len(), 0);
    let failed =
        cluster
            .kubectl
            .watch_until(&format!("pod {PROVEN} --namespace=default"), MOST, |pod| {
                has_failed(pod).then(|| pod.clone())
            });

    mesh::enable(cluster);
    for name in [EARLY, PROVEN] {
        let told = format!(
            "events --namespace=default \
             --field-selector=involvedObject.name={name},reason=Repaired"
        );
        let message = cluster.kubectl.watch_until(&told, MOST, |event| {
            event["message"].as_str().map(str::to_owned)
        });
        assert!(message.contains("were applied with netlink"), "{message}");
    }
    let proven = cluster.ready("default", PROVEN);
    assert_eq!(proven["metadata"]["uid"], failed["metadata"]["uid"]);
    let repaired = cluster.ready("default", EARLY);
    assert_eq!(containers(&repaired), containers(&early));
    for pod in [&repaired, &proven] {
        let live_rules = cluster.live_rules(pod);
        assert_eq!(drift(&productpage_rules(), &live_rules, &OWNERSHIP), None);
        let before = cluster.counters(pod);
        cluster.ask_from_node(address_of(pod), PORT, "/");
        assert_eq!(
            cluster.counters(pod),
            before.plus(1, 0),
            "the sidecar saw it"
        );
    }
    cluster
        .kubectl
        .must(&format!("delete pod {EARLY} {PROVEN}"));
}

/// A pod with the init container that Istio adds if a plugin writes the rules. It validates them.
fn proven() -> Value {
    let mut pod = workload::pod("default", PROVEN);
    let mut validation = workload::istio_init();
    validation["name"] = "istio-validation".into();
    let arguments = validation["args"].as_array_mut();
    let arguments = arguments.expect("it has arguments");
    arguments.extend(["--run-validation", "--skip-rule-apply"].map(Value::from));
    validation["image"] = images::INIT.into();
    validation["securityContext"] = json!({
        "runAsUser": 1337,
        "runAsGroup": 1337,
        "runAsNonRoot": true,
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    pod["spec"]["initContainers"] = json!([validation]);
    pod
}

/// Whether the validation has failed.
fn has_failed(pod: &Value) -> bool {
    let validation = &pod["status"]["initContainerStatuses"][0];
    let states = [&validation["state"], &validation["lastState"]];
    states
        .iter()
        .any(|state| state["terminated"]["exitCode"] == 126)
}

/// The IDs of a pod's containers, and how often each restarted.
fn containers(pod: &Value) -> Vec<(&Value, &Value)> {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let statuses = statuses.into_iter().flatten();
    statuses
        .map(|status| (&status["containerID"], &status["restartCount"]))
        .collect()
}
