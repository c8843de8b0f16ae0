//! Pods that start while the plugin is not there, and the agent that comes after them.

use mesh_cni_netfilter::drift;
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_tests::productpage_rules;
use serde_json::{Value, json};

use crate::workload;
use crate::world::{MOST, World, address_of};
use crate::{images, mesh};

/// The port of every service of the sample.
const PORT: u16 = 9080;

/// A pod that runs without anybody having looked whether its traffic is redirected.
const EARLY: &str = "early";

/// A pod that waits until it is.
const PROVEN: &str = "early-proven";

/// A pod that runs, and one whose validation fails, go on in the mesh once the agent is there; no
/// container of the former is started again, and neither pod is made again.
pub(crate) fn in_place(world: &mut World) {
    mesh::disable(world);
    for pod in [workload::pod("default", EARLY), proven()] {
        world.kubectl.apply(&pod.to_string());
    }
    let early = world.ready("default", EARLY);
    assert_eq!(world.standing(&early).tables.len(), 0);
    let failed =
        world
            .kubectl
            .watch_until(&format!("pod {PROVEN} --namespace=default"), MOST, |pod| {
                has_failed(pod).then(|| pod.clone())
            });

    mesh::enable(world);
    for name in [EARLY, PROVEN] {
        let told = format!(
            "events --namespace=default \
             --field-selector=involvedObject.name={name},reason=Repaired"
        );
        let message = world.kubectl.watch_until(&told, MOST, |event| {
            event["message"].as_str().map(str::to_owned)
        });
        assert!(message.contains("stand now, made by netlink"), "{message}");
    }
    let proven = world.ready("default", PROVEN);
    assert_eq!(proven["metadata"]["uid"], failed["metadata"]["uid"]);
    let repaired = world.ready("default", EARLY);
    assert_eq!(containers(&repaired), containers(&early));
    for pod in [&repaired, &proven] {
        let standing = world.standing(pod);
        assert_eq!(drift(&productpage_rules(), &standing, &OWNERSHIP), None);
        let before = world.counters(pod);
        world.ask_from_node(address_of(pod), PORT, "/");
        assert_eq!(world.counters(pod), before.plus(1, 0), "the sidecar saw it");
    }
    world.kubectl.must(&format!("delete pod {EARLY} {PROVEN}"));
}

/// A pod with the init container that Istio adds where a plugin makes the rules: it proves them.
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

/// Whether the validation has said that the rules do not redirect.
fn has_failed(pod: &Value) -> bool {
    let validation = &pod["status"]["initContainerStatuses"][0];
    let states = [&validation["state"], &validation["lastState"]];
    states
        .iter()
        .any(|state| state["terminated"]["exitCode"] == 126)
}

/// The identifiers of a pod's containers, and how often each was started again.
fn containers(pod: &Value) -> Vec<(&Value, &Value)> {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let statuses = statuses.into_iter().flatten();
    statuses
        .map(|status| (&status["containerID"], &status["restartCount"]))
        .collect()
}
