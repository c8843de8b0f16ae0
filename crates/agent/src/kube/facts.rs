//! The answer to "what do you know about this pod": from the watch, or, where the pod is not there
//! in time, by one request to the API server.

use std::sync::Arc;
use std::time::Duration;

use mesh_cni_selector::PodFacts;

use crate::kube::api::{Api, ApiError};
use crate::kube::pod::{Pod, PodName};
use crate::kube::pods::Namespace;
use crate::kube::store::Directory;
use crate::metrics::Metrics;

/// How long a pod is waited for before it is fetched. The kubelet, which started the sandbox, has
/// heard of the pod by a watch like ours, so ours is behind by milliseconds, not more.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FactsAnswer {
    /// This is known.
    Known(Box<PodFacts>),
    /// The API server knows no pod of that name.
    NoPod,
    /// A pod of that name is there, of this UID, and it is not the one that was asked for.
    OtherPod(String),
    /// The pod is there, and cannot be read.
    Unreadable(String),
    /// The API server knows no namespace of that name, whose labels a policy asks for.
    NoNamespace,
    /// The pod is not in the watch, and the API server did not answer.
    NoApi(String),
}

/// Who answers.
pub(crate) struct Facts {
    pub(crate) directory: Arc<Directory>,
    pub(crate) api: Arc<Api>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Facts {
    /// Answers for that pod; where its UID is known, for no other of its name.
    pub(crate) async fn about(&self, name: &PodName, uid: Option<&str>) -> FactsAnswer {
        match self.pod(name, uid).await {
            Ok(Some(pod)) => self.of(&pod, name, uid).await,
            Ok(None) => FactsAnswer::NoPod,
            Err(error) => FactsAnswer::NoApi(crate::one_line(&error)),
        }
    }

    async fn pod(&self, name: &PodName, uid: Option<&str>) -> Result<Option<Arc<Pod>>, ApiError> {
        if let Some(pod) = self.directory.wait_for(name, uid, PATIENCE).await {
            return Ok(Some(pod));
        }
        self.metrics.api_asked("get");
        let path = format!("/api/v1/namespaces/{}/pods", name.namespace);
        let found = self.api.get::<Pod>(&path, &name.name).await?;
        Ok(found.map(|found| Arc::new(found.object)))
    }

    async fn of(&self, pod: &Pod, name: &PodName, uid: Option<&str>) -> FactsAnswer {
        if pod.name != *name || uid.is_some_and(|uid| !pod.is_of(uid)) {
            return FactsAnswer::OtherPod(pod.uid.clone());
        }
        match &pod.facts {
            Ok(facts) => self.complete(facts).await,
            Err(error) => FactsAnswer::Unreadable(crate::one_line(error)),
        }
    }

    /// Adds the labels of the namespace, where a policy asks for them.
    async fn complete(&self, facts: &PodFacts) -> FactsAnswer {
        if let Some(facts) = self.directory.complete(facts, PATIENCE).await {
            return FactsAnswer::Known(Box::new(facts));
        }
        self.metrics.api_asked("get");
        let namespace = self
            .api
            .get::<Namespace>("/api/v1/namespaces", &facts.namespace);
        match namespace.await {
            Ok(Some(namespace)) => FactsAnswer::Known(Box::new(PodFacts {
                namespace_labels: Some(namespace.object.labels),
                ..facts.clone()
            })),
            Ok(None) => FactsAnswer::NoNamespace,
            Err(error) => FactsAnswer::NoApi(crate::one_line(&error)),
        }
    }
}
