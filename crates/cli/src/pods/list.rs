//! The pods of the cluster, as the API server lists them.

use std::collections::{BTreeMap, BTreeSet};

use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::list::Selector;
use mesh_cni_kube::namespace::Namespace;
use mesh_cni_kube::object::Object;
use mesh_cni_kube::pod::{CompletePod, Pod};
use mesh_cni_plan::MeshConf;
use serde_json::Value;

use crate::cluster::{self, Cluster};
use crate::failure::Failure;

/// A pod with its node.
pub(crate) struct ClusterPod {
    pub(crate) pod: Pod,
    /// `spec.nodeName`; absent before the pod is scheduled.
    pub(crate) node: Option<String>,
}

/// The labels and annotations of namespaces.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    by_name: BTreeMap<String, Namespace>,
    /// Why they cannot be listed.
    pub(crate) error: Option<String>,
}

/// The node of a pod.
pub(super) struct NodeName(Option<String>);

impl ClusterPod {
    pub(crate) fn has_ended(&self) -> bool {
        self.pod.has_ended()
    }
}

impl Namespaces {
    /// Lists the namespaces, if one of the configurations needs them. If that fails, the decision for
    /// the pods that depend on them is not known.
    pub(crate) async fn read<'conf>(
        cluster: &Cluster,
        confs: impl IntoIterator<Item = &'conf MeshConf>,
    ) -> Self {
        let mut confs = confs.into_iter();
        if !confs.any(MeshConf::needs_namespaces) {
            return Self::default();
        }
        let listed = cluster.list::<Namespace>("/api/v1/namespaces", Selector::default());
        let (objects, error) = match listed.await {
            Ok(listed) => (listed.objects, None),
            Err(error) => {
                let error = error_reporter::Report::new(error);
                let error =
                    format!("the labels and annotations of namespaces are not known: {error}");
                (Vec::new(), Some(error))
            }
        };
        let named = objects.into_iter().map(|each| (each.name.clone(), each));
        Self {
            by_name: named.collect(),
            error,
        }
    }

    /// The pod with the labels and annotations of its namespace.
    pub(crate) fn complete(&self, mut pod: ClusterPod) -> ClusterPod {
        if let Ok(facts) = &mut pod.pod.facts
            && let Some(namespace) = self.by_name.get(&facts.namespace)
        {
            namespace.clone().add_to(facts);
        }
        pod
    }
}

impl NodeName {
    /// The nodes of the pods at that path.
    pub(super) async fn of_pods(
        cluster: &Cluster,
        path: &str,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut nodes = BTreeSet::new();
        let on_pod = |pod: Result<Self, String>| nodes.extend(pod.ok().and_then(|pod| pod.0));
        cluster
            .each_object(path, Selector::default(), on_pod)
            .await
            .map_err(|error| cluster::request_failure(error, "pods"))?;
        Ok(nodes)
    }
}

fn node(object: &Value) -> Option<String> {
    let node = object["spec"]["nodeName"].as_str();
    node.filter(|node| !node.is_empty()).map(str::to_owned)
}

impl Object for ClusterPod {
    const KEEP: &'static Keep = CompletePod::KEEP;

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let CompletePod(pod) = CompletePod::from_object(object)?;
        let node = node(object);
        Ok(Self { pod, node })
    }

    fn too_large(self) -> Self {
        let CompletePod(pod) = CompletePod(self.pod).too_large();
        Self { pod, ..self }
    }
}

impl Object for NodeName {
    const KEEP: &'static Keep =
        &Keep::Fields(&[("spec", &Keep::Fields(&[("nodeName", &Keep::All)]))]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        Ok(Self(node(object)))
    }
}
