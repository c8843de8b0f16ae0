//! The taint that keeps pods off a new node is removed when the agent is ready.

use std::fs;

use mesh_cni_tests::mesh_cni;

use crate::cluster::{Cluster, NODE};

const NODE_OBJECT: &str = "
apiVersion: v1
kind: Node
metadata: {name: node-1}
spec:
  taints:
  - {key: mesh-cni/not-ready, effect: NoSchedule}
  - {key: gpu, value: 'yes', effect: NoSchedule}
  - {key: mesh-cni/not-ready, effect: NoExecute}
";

#[test]
fn the_taint_is_removed_when_the_agent_is_ready() {
    let mut cluster = Cluster::new(&[r#"taint="mesh-cni/not-ready""#]);
    cluster.api.apply(NODE_OBJECT);
    let directory = tempfile::tempdir().unwrap();
    let [bin, conf] = ["bin", "net.d"].map(|name| directory.path().join(name));
    for folder in [&bin, &conf] {
        fs::create_dir(folder).unwrap();
    }
    let plugin = mesh_cni();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (bin, conf, plugin) = (path(&bin), path(&conf), path(&plugin));
    let flags = [
        "--plugin-binary",
        &plugin,
        "--cni-bin-dir",
        &bin,
        "--cni-conf-dir",
        &conf,
    ];
    cluster.start_agent(&flags);
    cluster.wait_for_log(&["contains no network configuration"]);
    assert_eq!(
        keys(&cluster),
        ["mesh-cni/not-ready", "gpu", "mesh-cni/not-ready"]
    );

    let list = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;
    fs::write(format!("{conf}/10-calico.conflist"), list).unwrap();
    cluster.wait_for_log(&["taint: removed"]);
    assert_eq!(keys(&cluster), ["gpu"]);
}

#[test]
fn without_the_setting_the_agent_removes_no_taint() {
    let mut cluster = Cluster::new(&[]);
    cluster.api.apply(NODE_OBJECT);
    cluster.start_agent(&[]);
    assert_eq!(cluster.count("taint"), 0);
    let account = cluster.api.kubeconfig_of("kube-system", "mesh-cni");
    let may = cluster
        .api
        .kubectl_as(&account, ["auth", "can-i", "patch", "nodes"], "");
    assert_eq!(may.stdout.trim(), "no", "it has no right to");
}

/// The keys of the node's taints, without those that the API server adds.
fn keys(cluster: &Cluster) -> Vec<String> {
    let node = cluster.api.get(&format!("node {NODE}"));
    let taints = node["spec"]["taints"].as_array().unwrap().iter();
    let keys = taints.map(|taint| taint["key"].as_str().unwrap().to_owned());
    keys.filter(|key| !key.starts_with("node.kubernetes.io/"))
        .collect()
}
