//! A short walk-through on a node with CRI-O.

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::productpage_rules;
use serde_json::Value;

use crate::test_cluster::TestCluster;
use crate::verify::{DOCUMENTED, rules_of};
use crate::{images, workload};

pub(crate) fn import(cluster: &mut TestCluster) {
    images::import_named(&cluster.node, &[images::BOOKINFO, images::AGENT]);
}

/// The kubelet starts the pod, the agent gives the plugin its facts, and the documented command lists its rules.
pub(crate) fn a_pod_is_redirected(cluster: &mut TestCluster) {
    let pod = started(cluster, "redirected");
    let live_rules = cluster.live_rules(&pod);
    assert_eq!(drift(&productpage_rules(), &live_rules, &OWNERSHIP), None);
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str();
    assert!(id.is_some_and(|id| id.starts_with("cri-o://")), "{id:?}");
    let pid = cluster.pid(&pod, &"main".into());
    let command = format!("nsenter -t {pid} -n iptables -L -t nat -n -v --line-numbers -x");
    let listed = cluster.node.isolated_host().must(&command);
    assert_eq!(rules_of(&listed), rules_of(DOCUMENTED), "{listed}");
    cluster.kubectl.must("delete pod redirected --wait");
}

pub(crate) fn a_pod_starts_without_rules(cluster: &mut TestCluster) {
    let pod = started(cluster, "without");
    assert_eq!(cluster.live_rules(&pod).tables.len(), 0);
}

fn started(cluster: &TestCluster, name: &str) -> Value {
    let pod = workload::idle("default", name);
    cluster.kubectl.apply(&pod.to_string());
    cluster.ready("default", name)
}
