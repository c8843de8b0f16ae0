//! mesh-cni on the node, installed with the repository's manifests.

use std::fs;
use std::path::PathBuf;

use mesh_cni_tests::Kubectl;

use crate::test_cluster::{MOST, TestCluster};

/// The manifests that install mesh-cni.
pub(crate) const INSTALL: &str = include_str!("../../deploy/manifests/mesh-cni.yaml");

/// The manifests that uninstall it.
pub(crate) const UNINSTALL: &str = include_str!("../../deploy/manifests/mesh-cni-uninstall.yaml");

/// A second excluded namespace, where `istio-init` writes the rules.
pub(crate) const EXCLUDED: &str = "by-init";

/// The agent's pods.
pub(crate) const AGENT: &str = "daemonset/mesh-cni-agent --namespace=kube-system";

/// Applies the manifests with a second excluded namespace, and waits until every agent is ready.
pub(crate) fn enable(cluster: &mut TestCluster) {
    let kube_system = "\"exclude_namespaces\": [\n        \"kube-system\"\n";
    assert!(
        INSTALL.contains(kube_system),
        "the manifest has another form"
    );
    let excluded = format!("{},\n        \"{EXCLUDED}\"\n", kube_system.trim_end());
    cluster
        .kubectl
        .apply(&INSTALL.replace(kube_system, &excluded));
    rolled_out(cluster);
    assert!(is_listed(cluster), "{}", list(cluster));
}

/// Uninstalls mesh-cni from the node as operators do. The remaining `DaemonSet` does nothing.
pub(crate) fn disable(cluster: &TestCluster) {
    cluster.kubectl.apply(UNINSTALL);
    rolled_out(cluster);
    assert!(!is_listed(cluster), "{}", list(cluster));
}

/// Removes mesh-cni from the cluster, as operators do.
pub(crate) fn remove(cluster: &mut TestCluster) {
    disable(cluster);
    delete(&cluster.kubectl);
}

/// Deletes the objects of the manifests.
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

/// Waits until the `DaemonSet` is rolled out.
pub(crate) fn rolled_out(cluster: &TestCluster) {
    cluster.kubectl.rolled_out(AGENT, MOST);
}

/// Whether the list names the plugin.
pub(crate) fn is_listed(cluster: &TestCluster) -> bool {
    list(cluster).contains("\"mesh-cni\"")
}

/// The node's network configuration list.
pub(crate) fn list(cluster: &TestCluster) -> String {
    fs::read_to_string(list_path(cluster)).unwrap_or_default()
}

/// Its path, as seen from this machine.
pub(crate) fn list_path(cluster: &TestCluster) -> PathBuf {
    cluster
        .node
        .isolated_host()
        .path("/etc/cni/net.d/10-node.conflist")
}
