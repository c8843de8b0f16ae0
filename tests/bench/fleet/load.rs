//! The pods of the fleet, and requests that others than agents send.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_cni_kube::access::ApiAccess;
use mesh_cni_kube::api::{Api, Preconditions};
use mesh_cni_kube::list::{ListSource, Selector};
use mesh_cni_kube::namespace::Namespace;
use mesh_cni_kube::pod::Pod;
use mesh_cni_tests::pod_for_api;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// The path of all pods here.
const PODS: &str = "/api/v1/namespaces/default/pods";

/// How many requests are sent at once.
const AT_ONCE: usize = 16;

/// How often a pod changes between its start and its end, as the kubelet reports its state.
const CHANGES: usize = 4;

pub(crate) struct Load {
    runtime: Runtime,
    /// Writes pods.
    admin: Arc<Api>,
    /// Of the account whose requests are counted.
    kubeconfig: PathBuf,
    nodes: usize,
}

impl Load {
    pub(crate) fn new(admin: &Path, kubeconfig: &Path, nodes: usize) -> Self {
        Self {
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("an event loop can be created"),
            admin: Arc::new(api(admin)),
            kubeconfig: kubeconfig.to_owned(),
            nodes,
        }
    }

    /// Creates that many pods, the same number on each node.
    pub(crate) fn create_pods(&self, count: usize) {
        self.each(count, |load, number| {
            let (api, pod) = (Arc::clone(&load.admin), load.pod("web", number));
            async move {
                api.create(PODS, &pod).await.expect("the pod is valid");
            }
        });
    }

    /// Creates, changes and deletes that many pods.
    pub(crate) fn churn(&self, count: usize) {
        // Its connections may end in an API server that no longer runs.
        self.admin.reconnect();
        self.each(count, |load, number| {
            let (api, pod) = (Arc::clone(&load.admin), load.pod("job", number));
            async move {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                api.create(PODS, &pod).await.expect("the pod is valid");
                for change in 0..CHANGES {
                    let change =
                        json!({"metadata": {"annotations": {"state": change.to_string()}}});
                    let changed = api.merge(PODS, name, &change).await;
                    changed.expect("the pod exists");
                }
                let deleted = api.delete(PODS, name, Preconditions::default()).await;
                deleted.expect("the pod exists");
            }
        });
    }

    /// Lists the pods of each node, with a new connection each.
    pub(crate) fn list_on_each_node(&self, source: &ListSource) {
        self.each(self.nodes, |load, node| {
            let (api, source) = (api(&load.kubeconfig), source.clone());
            async move {
                let fields = format!("spec.nodeName={}", node_name(node));
                let selector = Selector {
                    fields: Some(&fields),
                    labels: None,
                };
                let on_pod = |pod: Result<Pod, String>| drop(pod.expect("the pod can be read"));
                let listed = api.list("/api/v1/pods", selector, &source, on_pod).await;
                listed.expect("the pods can be listed");
            }
        });
    }

    /// Requests that many pods, and their namespaces, with a new connection for each pod, as a plugin
    /// does that is a new process in each ADD.
    pub(crate) fn get(&self, count: usize, with_namespace: bool) {
        self.each(count, |load, number| {
            let api = api(&load.kubeconfig);
            async move {
                let name = format!("web-{number}");
                let pod = api.get::<Pod>(PODS, &name).await;
                assert!(pod.is_ok_and(|pod| pod.is_some()), "{name}");
                if with_namespace {
                    let namespace = api.get::<Namespace>("/api/v1/namespaces", "default").await;
                    assert!(namespace.is_ok_and(|namespace| namespace.is_some()));
                }
            }
        });
    }

    /// Runs a task for each number, some of them at once.
    fn each<T>(&self, count: usize, task: impl Fn(&Self, usize) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for number in 0..count {
                if running.len() == AT_ONCE {
                    join(&mut running).await;
                }
                running.spawn(task(self, number));
            }
            while !running.is_empty() {
                join(&mut running).await;
            }
        });
    }

    fn pod(&self, name: &str, number: usize) -> Value {
        let mut pod = pod_for_api(&format!("{name}-{number}"), true);
        pod["spec"]["nodeName"] = node_name(number % self.nodes).into();
        // No kubelet confirms that the pod has ended.
        pod["spec"]["terminationGracePeriodSeconds"] = 0.into();
        pod
    }
}

/// The name of a node.
pub(crate) fn node_name(number: usize) -> String {
    format!("node-{number}")
}

async fn join(running: &mut JoinSet<()>) {
    if let Some(result) = running.join_next().await {
        result.expect("the requests succeed");
    }
}

fn api(kubeconfig: &Path) -> Api {
    Api::new(
        ApiAccess::Kubeconfig(kubeconfig.to_owned()),
        "mesh-cni-bench",
    )
}
