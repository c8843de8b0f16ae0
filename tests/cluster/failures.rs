//! Failures: parts of the node fail and recover, and every pod has its rules throughout.

use std::fs;

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{productpage_rules, wait_for_change};
use serde_json::Value;

use crate::mesh;
use crate::test_cluster::{MOST, NODE, TestCluster, name_of};
use crate::workload::{self, OUTSIDE_PORT};

/// The label of every pod of the sample.
const BOOKINFO: &str = "app,version";

pub(crate) fn kubelet_restarts(cluster: &mut TestCluster) {
    cluster.node.restart_kubelet();
    assert_works(cluster, "after-kubelet");
}

pub(crate) fn containerd_restarts(cluster: &mut TestCluster) {
    cluster.node.restart_runtime();
    assert_works(cluster, "after-containerd");
}

/// The node loses power, boots with the same disk, and starts the same pods again.
pub(crate) fn node_reboots(cluster: &mut TestCluster) {
    let before = cluster.pods(BOOKINFO);
    cluster.reboot();
    for pod in &before {
        let name = format!("pod {} --namespace=default", name_of(pod));
        let again = cluster.kubectl.watch_until(&name, MOST, |now| {
            let restarted = container(now) != container(pod);
            (restarted && is_ready(now)).then(|| now.clone())
        });
        assert_eq!(again["metadata"]["uid"], pod["metadata"]["uid"]);
        let found = cluster.live_rules(&again);
        assert_eq!(
            drift(&productpage_rules(), &found, &OWNERSHIP),
            None,
            "{}",
            name_of(pod)
        );
    }
    cluster.wait_for_services();
    assert_works(cluster, "after-reboot");
}

/// Another program rewrites the list without our entry, and the agent restores it.
pub(crate) fn list_is_rewritten(cluster: &mut TestCluster) {
    let path = mesh::list_path(cluster);
    let mut list: Value = serde_json::from_str(&mesh::list(cluster)).expect("the list is JSON");
    let plugins = list["plugins"].as_array_mut().expect("a list has plugins");
    plugins.retain(|plugin| plugin["type"] != "mesh-cni");
    let part = path.with_extension("part");
    let folder = path.parent().expect("the list is in a folder");
    let written = fs::write(&part, list.to_string()).and_then(|()| fs::rename(part, &path));
    written.expect("the isolated host's /etc can be written");
    wait_for_change(folder, MOST, "the entry is not restored", || {
        mesh::is_listed(cluster).then_some(())
    });
    assert_works(cluster, "after-rewrite");
}

/// Agents are updated while pods start: all pods start, each with its rules.
pub(crate) fn agent_is_updated(cluster: &mut TestCluster) {
    const PODS: usize = 20;
    let pods: Vec<_> = (0..PODS)
        .map(|n| workload::idle("default", &format!("roll-{n}")))
        .collect();
    cluster
        .kubectl
        .must(&format!("rollout restart {}", mesh::AGENT));
    cluster
        .kubectl
        .apply(&workload::list(pods.clone()).to_string());
    mesh::rolled_out(cluster);
    for pod in &pods {
        let pod = cluster.ready("default", name_of(pod));
        let found = cluster.live_rules(&pod);
        assert_eq!(
            drift(&productpage_rules(), &found, &OWNERSHIP),
            None,
            "{}",
            name_of(&pod)
        );
    }
    println!("{} of these ADDs failed", refused(cluster, "roll-"));
    cluster.kubectl.must("delete pods --selector=idle --wait");
}

/// How many ADDs failed of the pods in `default` whose names begin like this. How long an update takes depends on
/// the machine, and an ADD waits for the next agent only 5 seconds, so this is a figure.
fn refused(cluster: &TestCluster, prefix: &str) -> u64 {
    let words = "events --namespace=default --field-selector=reason=FailedCreatePodSandBox";
    let events = cluster.kubectl.get(words);
    let of_pods = |event: &&Value| {
        let name = event["involvedObject"]["name"].as_str();
        name.is_some_and(|name| name.starts_with(prefix))
    };
    let events = events["items"].as_array().into_iter().flatten();
    let counts = events.filter(of_pods).map(|event| event["count"].as_u64());
    counts.map(|count| count.unwrap_or(1)).sum()
}

/// The agent is deleted without uninstalling: a pod that needs it waits, an Event says why, and the
/// pod starts when the agent is back.
pub(crate) fn agent_is_gone(cluster: &mut TestCluster) {
    cluster
        .kubectl
        .must(&format!("delete --wait {}", mesh::AGENT));
    let pod = workload::idle("default", "waits");
    cluster.kubectl.apply(&pod.to_string());
    let told = "events --namespace=default --field-selector=\
                involvedObject.name=waits,reason=FailedCreatePodSandBox";
    let message = cluster.kubectl.watch_until(told, MOST, |event| {
        event["message"].as_str().map(str::to_owned)
    });
    assert!(
        message.contains("plugin type=\"mesh-cni\" failed (add)"),
        "{message}"
    );
    mesh::enable(cluster);
    let pod = cluster.ready("default", "waits");
    assert_eq!(
        drift(&productpage_rules(), &cluster.live_rules(&pod), &OWNERSHIP),
        None
    );
    cluster.kubectl.must("delete pod waits");
}

/// Uninstalled, pods start without rules; installed again, they have their rules.
pub(crate) fn uninstalled_and_installed(cluster: &mut TestCluster) {
    mesh::disable(cluster);
    cluster
        .kubectl
        .apply(&workload::idle("default", "without").to_string());
    let pod = cluster.ready("default", "without");
    assert_eq!(cluster.live_rules(&pod).tables.len(), 0);
    cluster.kubectl.must("delete pod without");
    mesh::enable(cluster);
    assert_works(cluster, "with-again");
}

/// The sample answers as before, all its rules exist, and a new pod gets its own.
fn assert_works(cluster: &TestCluster, name: &str) {
    let page = cluster.ask_from_outside(NODE, OUTSIDE_PORT);
    assert!(page.starts_with("productpage v1\ndetails v1\n"), "{page}");
    let new = workload::pod("default", name);
    cluster.kubectl.apply(&new.to_string());
    let mut pods = cluster.pods(BOOKINFO);
    pods.push(cluster.ready("default", name));
    for pod in &pods {
        let found = cluster.live_rules(pod);
        assert_eq!(
            drift(&productpage_rules(), &found, &OWNERSHIP),
            None,
            "{}",
            name_of(pod)
        );
    }
    cluster.kubectl.must(&format!("delete pod {name}"));
}

/// The ID of a pod's first container.
fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["containerID"]
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
