//! mesh-cni on the node, by the manifests that are shipped.

use std::fs;
use std::path::PathBuf;

use mesh_cni_tests::Kubectl;

use crate::world::{MOST, World};

/// What operators apply.
pub(crate) const INSTALL: &str = include_str!("../../deploy/manifests/mesh-cni.yaml");

/// What operators apply to be rid of it.
pub(crate) const UNINSTALL: &str = include_str!("../../deploy/manifests/mesh-cni-uninstall.yaml");

/// The namespace that the plugin leaves alone beside `kube-system`: there, `istio-init` does it.
pub(crate) const EXCLUDED: &str = "by-init";

/// The agent's pods.
pub(crate) const AGENT: &str = "daemonset/mesh-cni-agent --namespace=kube-system";

/// Applies the manifests with one more excluded namespace, and waits until every agent is ready:
/// then the list names the plugin.
pub(crate) fn enable(world: &mut World) {
    let kube_system = "\"exclude_namespaces\": [\n        \"kube-system\"\n";
    assert!(
        INSTALL.contains(kube_system),
        "the manifest has another form"
    );
    let excluded = format!("{},\n        \"{EXCLUDED}\"\n", kube_system.trim_end());
    world
        .kubectl
        .apply(&INSTALL.replace(kube_system, &excluded));
    rolled_out(world);
    assert!(is_listed(world), "{}", list(world));
}

/// Takes it off the node again, as operators do; what then remains of the daemon set does nothing.
pub(crate) fn disable(world: &World) {
    world.kubectl.apply(UNINSTALL);
    rolled_out(world);
    assert!(!is_listed(world), "{}", list(world));
}

/// Takes all of it off the cluster, as operators do.
pub(crate) fn remove(world: &mut World) {
    disable(world);
    delete(&world.kubectl);
}

/// Deletes what the manifests made.
pub(crate) fn delete(kubectl: &Kubectl) {
    for manifest in [UNINSTALL, INSTALL] {
        let words = [
            "delete",
            "--ignore-not-found",
            "--cascade=foreground",
            "-f",
            "-",
        ];
        let deleted = kubectl.run(words, manifest);
        assert_eq!(deleted.code, 0, "{}", deleted.stderr);
    }
}

/// Waits until the agents run as their daemon set says.
pub(crate) fn rolled_out(world: &World) {
    world.kubectl.rolled_out(AGENT, MOST);
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
