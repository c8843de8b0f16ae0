//! The agent under a memory limit, with pods that tenants made as expensive as possible to read.

use std::thread;

use mesh_cni_tests::{Agent, KubeApi, MANIFESTS, MemoryGroup, hostile_pod};

use crate::node::{Node, PLAIN, passed};

/// The number of large pods.
const PODS: usize = 40;

/// Half of the chart's limit, in bytes.
const LIMIT: u64 = 64 << 20;

#[test]
fn large_pods_do_not_exhaust_the_agents_memory() {
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    for number in 0..PODS {
        api.create_pod(&hostile_pod(number));
    }
    let group = MemoryGroup::new(LIMIT);
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = api.kubeconfig_of("kube-system", "mesh-cni");
    let mut command = Agent::command(&kubeconfig, directory.path());
    command.arg("--repair-enabled=true");
    let mut agent = Agent::spawn(&group.command(&command), directory.path());
    agent.wait_for_pods();
    let mut node = Node {
        agent,
        api,
        directory,
    };
    let small = node.pod("small", PLAIN);
    assert!(passed(&node.add("small", &small)));
    let facts = |number: usize| {
        let path = format!("/v1/pods/default/hostile-{number}");
        node.agent.client().get(&path).unwrap()
    };
    for number in [0, 1, 2, 4, 5] {
        let answer = facts(number);
        assert!(
            answer.starts_with("HTTP/1.1 200"),
            "{number}: {answer:.200}"
        );
    }
    thread::scope(|scope| {
        for number in 0..PODS {
            scope.spawn(move || facts(number));
        }
    });
    assert!(passed(&node.add("small", &small)));
    assert_eq!(group.killed(), 0, "{}", node.agent.client().log());
}
