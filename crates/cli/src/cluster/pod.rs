//! One pod of the cluster, by its name.

use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::list::Selector;
use mesh_cni_kube::namespace::Namespace;
use mesh_cni_kube::object::Object;
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;
use serde_json::Value;

use super::{Cluster, access};
use crate::arguments::PodName;
use crate::failure::Failure;
use crate::nearest::nearest;
use crate::pod_source::SourceError;
use crate::pods::ClusterPod;

/// `NAMESPACE/NAME` of a pod.
struct FullName(String);

impl Cluster {
    /// The pod of that name. If there is none, the error has the names of similar pods.
    pub(crate) async fn pod(&self, pod: &PodName) -> Result<ClusterPod, Failure> {
        let path = format!("/api/v1/namespaces/{}/pods", pod.namespace);
        let found = self.get(&path, &pod.name).await;
        let found = found.map_err(|error| access::request_failure(error, "pods"))?;
        if let Some(found) = found {
            return Ok(found);
        }
        let mut names = self.nearest(pod, &path).await;
        if names.is_empty() {
            names = self.nearest(pod, "/api/v1/pods").await;
        }
        Err(SourceError::NoPod {
            origin: "the API server".to_owned(),
            pod: pod.clone(),
            nearest: names,
        }
        .failure())
    }

    /// The facts of a pod, with those of its namespace if the configuration needs them.
    pub(crate) async fn facts(&self, pod: &PodName, conf: &MeshConf) -> Result<PodFacts, Failure> {
        let facts = self.pod(pod).await?.pod.facts;
        let mut facts = facts.map_err(|error| Failure::wrong(error).about(format!("pod {pod}")))?;
        if conf.needs_namespaces() {
            let namespace = self.get::<Namespace>("/api/v1/namespaces", &pod.namespace);
            let namespace = namespace.await;
            let namespace =
                namespace.map_err(|error| access::request_failure(error, "namespaces"))?;
            if let Some(namespace) = namespace {
                namespace.add_to(&mut facts);
            }
        }
        Ok(facts)
    }

    /// The names that are nearest to a pod's, of the pods at that path. Without the right to list them
    /// there are none.
    async fn nearest(&self, pod: &PodName, path: &str) -> Vec<String> {
        let listed = self.list::<FullName>(path, Selector::default()).await;
        let names = listed.unwrap_or_default().objects;
        nearest(
            &pod.to_string(),
            names.into_iter().map(|FullName(name)| name),
        )
    }
}

impl Object for FullName {
    const KEEP: &'static Keep = &Keep::Fields(&[(
        "metadata",
        &Keep::Fields(&[("namespace", &Keep::All), ("name", &Keep::All)]),
    )]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let metadata = |field: &str| object["metadata"][field].as_str();
        let namespace = metadata("namespace").ok_or("a pod without `metadata.namespace`")?;
        let name = metadata("name").ok_or("a pod without `metadata.name`")?;
        Ok(Self(format!("{namespace}/{name}")))
    }
}
