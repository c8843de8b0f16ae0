//! mesh-cni on the node: the agent as a daemon set, under an account of its own.

use std::fs;
use std::path::PathBuf;

use mesh_cni_tests::mesh_cni_agent;

use crate::world::{MOST, World};

/// The daemon set, its account and its rights.
const INSTALL: &str = include_str!("manifests/agent.yaml");

/// The namespace that the plugin leaves alone beside `kube-system`: there, `istio-init` does it.
pub(crate) const EXCLUDED: &str = "by-init";

/// The agent's pods.
pub(crate) const AGENT: &str = "daemonset/mesh-cni --namespace=kube-system";

/// Applies the manifests, and waits until every agent is ready: then the list names the plugin.
pub(crate) fn enable(world: &mut World) {
    world.kubectl.apply(INSTALL);
    rolled_out(world);
    assert!(is_listed(world), "{}", list(world));
}

/// Takes it off the node again: the daemon set, and then what it put there.
pub(crate) fn disable(world: &World) {
    world.kubectl.must(&format!("delete --wait {AGENT}"));
    let uninstall = format!("{} uninstall", mesh_cni_agent().display());
    world.node.enclosure().must(&uninstall);
    assert!(!is_listed(world), "{}", list(world));
}

/// Waits until the agents run as their daemon set says.
pub(crate) fn rolled_out(world: &World) {
    world.kubectl.must(&format!(
        "rollout status {AGENT} --timeout={}s",
        MOST.as_secs()
    ));
}

/// Whether the runtime would call the plugin.
pub(crate) fn is_listed(world: &World) -> bool {
    list(world).contains("\"mesh-cni\"")
}

/// The node's network configuration list.
pub(crate) fn list(world: &World) -> String {
    fs::read_to_string(list_path(world)).unwrap_or_default()
}

/// Where it is, as seen from outside.
pub(crate) fn list_path(world: &World) -> PathBuf {
    world
        .node
        .enclosure()
        .path("/etc/cni/net.d/10-node.conflist")
}
