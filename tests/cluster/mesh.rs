//! mesh-cni on the node, installed with the repository's manifests.

use std::fs;
use std::path::PathBuf;

use mesh_cni_tests::Kubectl;
use serde_json::json;

use crate::test_cluster::{MOST, TestCluster};

/// The manifests that install mesh-cni.
pub(crate) const INSTALL: &str = include_str!("../../deploy/manifests/mesh-cni.yaml");

/// The manifests that uninstall it.
pub(crate) const UNINSTALL: &str = include_str!("../../deploy/manifests/mesh-cni-uninstall.yaml");

/// A second excluded namespace, where `istio-init` writes the rules.
pub(crate) const EXCLUDED: &str = "by-init";

/// The agent's pods.
pub(crate) const AGENT: &str = "daemonset/mesh-cni-agent --namespace=kube-system";

/// Installs mesh-cni, and waits until every agent is ready.
pub(crate) fn enable(cluster: &mut TestCluster) {
    install(cluster, &[]);
    rolled_out(cluster);
    assert!(is_listed(cluster), "{}", list(cluster));
}

/// Serves pods of every mesh, and waits until every agent is ready.
pub(crate) fn serve_all_meshes(cluster: &TestCluster) {
    let linkerd = json!({
        "incoming-proxy-port": 4143,
        "outgoing-proxy-port": 4140,
        "proxy-uid": 2102,
        "inbound-ports-to-ignore": ["4191", "4190"],
    });
    let profile = "\"profile\": \"asm\"";
    let meshes = "\"profile\": [\"asm\", \"linkerd\", \"kuma\"]";
    let manifest = replaced(
        &manifest(),
        profile,
        &format!("{meshes}, \"linkerd\": {linkerd}"),
    );
    // As the chart with this profile: the agent reads the annotations of namespaces for Linkerd.
    let rules = "\nrules:\n";
    let namespaces = r#"  - {apiGroups: [""], resources: [namespaces], verbs: [get, list, watch]}"#;
    let manifest = replaced(&manifest, rules, &format!("{rules}{namespaces}\n"));
    // The checksum of the entry, without which the agents would not restart.
    let checksum = "mesh-cni/entry: \"";
    let manifest = replaced(&manifest, checksum, &format!("{checksum}all-"));
    cluster.kubectl.apply(&manifest);
    rolled_out(cluster);
}

/// Applies the manifests with a second excluded namespace, and with flags for the agent.
pub(crate) fn install(cluster: &TestCluster, flags: &[&str]) {
    cluster
        .kubectl
        .apply(&with_flags(&manifest(), "--mode=chained", flags));
}

/// The manifests with a second excluded namespace.
fn manifest() -> String {
    let kube_system = "\"exclude_namespaces\": [\n        \"kube-system\"\n";
    let excluded = format!("{},\n        \"{EXCLUDED}\"\n", kube_system.trim_end());
    replaced(INSTALL, kube_system, &excluded)
}

/// Uninstalls mesh-cni from the node as operators do. The remaining `DaemonSet` does nothing.
pub(crate) fn disable(cluster: &TestCluster) {
    uninstall(cluster, &[]);
}

/// As [`disable`], with flags for the uninstallation.
pub(crate) fn uninstall(cluster: &TestCluster, flags: &[&str]) {
    cluster
        .kubectl
        .apply(&with_flags(UNINSTALL, "--run-dir=/run/mesh-cni", flags));
    rolled_out(cluster);
    assert!(!is_listed(cluster), "{}", list(cluster));
}

/// The manifest with flags after the argument, an item of a list.
fn with_flags(manifest: &str, argument: &str, flags: &[&str]) -> String {
    let item = |flag: &str| format!("\n            - {flag}");
    let item_before = item(argument) + "\n";
    let more: String = flags.iter().map(|flag| item(flag)).collect();
    let items = item(argument) + &more + "\n";
    replaced(manifest, &item_before, &items)
}

fn replaced(manifest: &str, old: &str, new: &str) -> String {
    assert_eq!(
        manifest.matches(old).count(),
        1,
        "the manifest has another form"
    );
    manifest.replace(old, new)
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
