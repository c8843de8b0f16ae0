//! Bad days: parts of the node fail and come back, and no pod is ever without its rules.

use std::fs;

use mesh_cni_netfilter::drift;
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_tests::{productpage_rules, wait_for_change};
use serde_json::Value;

use crate::mesh;
use crate::workload::{self, OUTSIDE_PORT};
use crate::world::{MOST, NODE, World, name_of};

/// The label of every pod of the sample.
const BOOKINFO: &str = "app,version";

pub(crate) fn kubelet_restarts(world: &mut World) {
    world.node.restart_kubelet();
    goes_on(world, "after-kubelet");
}

pub(crate) fn containerd_restarts(world: &mut World) {
    world.node.restart_containerd();
    goes_on(world, "after-containerd");
}

/// Power is cut; the node boots with the disk that it had, and starts the same pods again.
pub(crate) fn node_reboots(world: &mut World) {
    let before = world.pods(BOOKINFO);
    world.reboot();
    for pod in &before {
        let name = format!("pod {} --namespace=default", name_of(pod));
        let again = world.kubectl.watch_until(&name, MOST, |now| {
            let restarted = container(now) != container(pod);
            (restarted && is_ready(now)).then(|| now.clone())
        });
        assert_eq!(again["metadata"]["uid"], pod["metadata"]["uid"]);
        let found = world.standing(&again);
        assert_eq!(
            drift(&productpage_rules(), &found, &OWNERSHIP),
            None,
            "{}",
            name_of(pod)
        );
    }
    world.wait_for_services();
    goes_on(world, "after-reboot");
}

/// The main plugin's own program writes its list anew, without us, and the agent puts the entry
/// back.
pub(crate) fn list_is_rewritten(world: &mut World) {
    let path = mesh::list_path(world);
    let mut list: Value = serde_json::from_str(&mesh::list(world)).expect("the list is JSON");
    let plugins = list["plugins"].as_array_mut().expect("a list has plugins");
    plugins.retain(|plugin| plugin["type"] != "mesh-cni");
    let part = path.with_extension("part");
    let folder = path.parent().expect("the list lies in a folder");
    let written = fs::write(&part, list.to_string()).and_then(|()| fs::rename(part, &path));
    written.expect("the enclosure's /etc can be written");
    wait_for_change(folder, MOST, "the entry is not back", || {
        mesh::is_listed(world).then_some(())
    });
    goes_on(world, "after-rewrite");
}

/// Agents are replaced while pods start: none stays away, none is without its rules.
pub(crate) fn agent_is_rolled_over(world: &mut World) {
    const PODS: usize = 20;
    let pods: Vec<_> = (0..PODS)
        .map(|n| workload::idle("default", &format!("roll-{n}")))
        .collect();
    world
        .kubectl
        .must(&format!("rollout restart {}", mesh::AGENT));
    world
        .kubectl
        .apply(&workload::list(pods.clone()).to_string());
    mesh::rolled_out(world);
    for pod in &pods {
        let pod = world.ready("default", name_of(pod));
        let found = world.standing(&pod);
        assert_eq!(
            drift(&productpage_rules(), &found, &OWNERSHIP),
            None,
            "{}",
            name_of(&pod)
        );
    }
    world.kubectl.must("delete pods --selector=idle --wait");
}

/// The agent is taken away without being asked to leave: a pod that needs it waits and is told why,
/// and starts when it is back.
pub(crate) fn agent_is_gone(world: &mut World) {
    world
        .kubectl
        .must(&format!("delete --wait {}", mesh::AGENT));
    let pod = workload::idle("default", "waits");
    world.kubectl.apply(&pod.to_string());
    let told = "events --namespace=default --field-selector=\
                involvedObject.name=waits,reason=FailedCreatePodSandBox";
    let message = world.kubectl.watch_until(told, MOST, |event| {
        event["message"].as_str().map(str::to_owned)
    });
    assert!(
        message.contains("plugin type=\"mesh-cni\" failed (add)"),
        "{message}"
    );
    mesh::enable(world);
    let pod = world.ready("default", "waits");
    assert_eq!(
        drift(&productpage_rules(), &world.standing(&pod), &OWNERSHIP),
        None
    );
    world.kubectl.must("delete pod waits");
}

/// Without us, pods start as they would; with us again, they have their rules again.
pub(crate) fn uninstalled_and_installed(world: &mut World) {
    mesh::disable(world);
    world
        .kubectl
        .apply(&workload::idle("default", "without").to_string());
    let pod = world.ready("default", "without");
    assert_eq!(world.standing(&pod).tables.len(), 0);
    world.kubectl.must("delete pod without");
    mesh::enable(world);
    goes_on(world, "with-again");
}

/// What runs answers as before, its rules stand, and a new pod gets its own.
fn goes_on(world: &World, name: &str) {
    let page = world.ask_from_outside(NODE, OUTSIDE_PORT);
    assert!(page.starts_with("productpage v1\ndetails v1\n"), "{page}");
    let new = workload::pod("default", name);
    world.kubectl.apply(&new.to_string());
    let mut pods = world.pods(BOOKINFO);
    pods.push(world.ready("default", name));
    for pod in &pods {
        let found = world.standing(pod);
        assert_eq!(
            drift(&productpage_rules(), &found, &OWNERSHIP),
            None,
            "{}",
            name_of(pod)
        );
    }
    world.kubectl.must(&format!("delete pod {name}"));
}

/// The identifier of a pod's first container.
fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["containerID"]
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
