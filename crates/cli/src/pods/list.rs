//! The pods of the cluster, as the API server lists them.

use std::collections::{BTreeMap, BTreeSet};

use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::list::Selector;
use mesh_cni_kube::namespace::{Labels, Namespace};
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

/// The labels of namespaces.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// `None` if no configuration needs them.
    labels: Option<BTreeMap<String, Labels>>,
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
    /// Lists the namespaces, if one of the configurations needs their labels. If that fails, the decision for
    /// the pods that depend on them is not known.
    pub(crate) async fn read<'conf>(
        cluster: &Cluster,
        confs: impl IntoIterator<Item = &'conf MeshConf>,
    ) -> Self {
        let mut confs = confs.into_iter();
        if !confs.any(|conf| conf.exclude_namespace_selector.is_some()) {
            return Self::default();
        }
        let listed = cluster.list::<Namespace>("/api/v1/namespaces", Selector::default());
        let (objects, error) = match listed.await {
            Ok(listed) => (listed.objects, None),
            Err(error) => {
                let error = error_reporter::Report::new(error);
                let error = format!("the labels of namespaces are not known: {error}");
                (Vec::new(), Some(error))
            }
        };
        let labels = objects.into_iter().map(|each| (each.name, each.labels));
        Self {
            labels: Some(labels.collect()),
            error,
        }
    }

    /// The pod with the labels of its namespace.
    pub(crate) fn complete(&self, mut pod: ClusterPod) -> ClusterPod {
        if let (Some(labels), Ok(facts)) = (&self.labels, &mut pod.pod.facts) {
            facts.namespace_labels = labels.get(&facts.namespace).cloned();
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
