//! Pod source `agent`: containerd creates sandboxes for pods of a real API server, and the plugin
//! asks the agent, which watches them.

use std::thread;

use mesh_cni_tests::{Agent, KubeApi, SandboxPod, pod_for_api};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::node::Node;
use crate::sandboxes::difference;

/// A node, an API server, and the agent. Fields are dropped in this order.
struct Cluster {
    node: Node,
    agent: Agent,
    api: KubeApi,
    _directory: TempDir,
}

impl Cluster {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let api = KubeApi::start();
        let agent = Agent::start(&api, directory.path());
        let node = Node::with(Some(&json!({
            "type": "mesh-cni",
            "pod_source": "agent",
            "cni_agent_run_dir": agent.client().run_dir,
        })));
        Self {
            node,
            agent,
            api,
            _directory: directory,
        }
    }

    /// Creates these pods and returns them with their UIDs. Does not wait until the agent knows
    /// them.
    fn make(&self, pods: &[Value]) -> Vec<SandboxPod> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
        self.api.apply(&list.to_string());
        let names = pods.iter().map(|pod| &pod["metadata"]["name"]);
        let found = self.api.get("pods");
        let found = found["items"].as_array().unwrap();
        let sandbox = |name: &Value| {
            let mut found = found.iter().map(|pod| &pod["metadata"]);
            let made = found.find(|made| made["name"] == *name).unwrap();
            let word = |field: &str| made[field].as_str().unwrap();
            SandboxPod::new(word("name"), word("uid"))
        };
        names.map(sandbox).collect()
    }

    fn delete(&self, name: &str) {
        self.api
            .must(&format!("delete pod {name} --grace-period=0 --force"));
    }
}

#[test]
fn a_recreated_pod_gets_its_own_rules() {
    let cluster = Cluster::start();
    let node = &cluster.node;
    let first = cluster.make(&[pod_for_api("cart", true)]).remove(0);
    let sandbox = first.start(&node.isolated_host).unwrap();
    assert_eq!(difference(node, &sandbox), None);
    SandboxPod::end(&node.isolated_host, &sandbox);
    cluster.delete("cart");

    let second = cluster.make(&[pod_for_api("cart", false)]).remove(0);
    let sandbox = second.start(&node.isolated_host).unwrap();
    assert_eq!(node.live_rules(&sandbox).tables.len(), 0);
    let late = first.start(&node.isolated_host).unwrap_err();
    let named = late.contains(&first.uid) && late.contains(&second.uid);
    assert!(named, "{late}");
    SandboxPod::end(&node.isolated_host, &sandbox);
    cluster.delete("cart");

    let third = cluster.make(&[pod_for_api("cart", true)]).remove(0);
    let sandbox = third.start(&node.isolated_host).unwrap();
    assert_eq!(difference(node, &sandbox), None);
    SandboxPod::end(&node.isolated_host, &sandbox);
    assert_eq!(node.leased_addresses(), Vec::<String>::new());
}

#[test]
fn two_hundred_sandboxes_in_bursts_cause_no_request_to_the_api_server() {
    const BURSTS: [usize; 6] = [16, 50, 16, 50, 16, 52];
    let cluster = Cluster::start();
    let node = &cluster.node;
    for (burst, size) in BURSTS.into_iter().enumerate() {
        let manifests = (0..size).map(|n| pod_for_api(&format!("burst-{burst}-{n}"), true));
        let pods = cluster.make(&manifests.collect::<Vec<_>>());
        let started = at_once(&pods, |pod| pod.start(&node.isolated_host));
        let sandboxes: Vec<_> = started.into_iter().map(Result::unwrap).collect();
        for sandbox in &sandboxes {
            assert_eq!(difference(node, sandbox), None, "burst {burst}");
        }
        at_once(&sandboxes, |sandbox| {
            SandboxPod::end(&node.isolated_host, sandbox);
        });
    }
    assert_eq!(node.leased_addresses(), Vec::<String>::new());
    let metrics = cluster.agent.client().get("/metrics").unwrap();
    let counted = r#"mesh_cni_adds_total{decision="redirect",reason="container"} 200"#;
    assert!(metrics.contains(counted), "{metrics}");
    let asked = cluster.api.requests_of("kube-system", "mesh-cni");
    assert!(
        asked.iter().all(|words| !words.starts_with("get ")),
        "{asked:#?}"
    );
}

/// Runs the function for all items in parallel.
fn at_once<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = things
            .iter()
            .map(|thing| scope.spawn(move || work(thing)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    })
}
