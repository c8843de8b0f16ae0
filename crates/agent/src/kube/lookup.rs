//! Finds the facts about one pod: in the watch, or with one request to the API server if the pod is
//! not there in time.

use std::sync::Arc;
use std::time::Duration;

use mesh_cni_agent_api::POD_TIMEOUT;
use mesh_cni_selector::PodFacts;
use tokio::time::timeout;

use super::store::PodStore;
use crate::error_chain;
use crate::metrics::Metrics;
use mesh_cni_kube::api::Api;
use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::namespace::Namespace;
use mesh_cni_kube::object::{Object, Versioned};
use mesh_cni_kube::pod::{CompletePod, Pod, PodError, PodName};

/// How long to wait for a pod before it is requested. The kubelet that started the sandbox knows the
/// pod from a watch like ours, so ours is at most milliseconds behind.
const WAIT: Duration = Duration::from_secs(2);

/// How long an answer takes at most: the client that waits [`POD_TIMEOUT`] still gets an error then.
const ANSWER_TIMEOUT: Duration = POD_TIMEOUT.saturating_sub(Duration::from_secs(1));

/// Why there are no facts about a pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// The API server has no pod of that name.
    #[error("the API server has no such pod")]
    NoPod,
    /// The pod of that name has another UID, this one.
    #[error("the pod has UID {0} now")]
    OtherPod(String),
    /// The pod cannot be decoded.
    #[error("{0}")]
    Unreadable(String),
    /// The API server has no namespace of that name, which decisions need.
    #[error("the API server has no such namespace")]
    NoNamespace,
    /// The pod is not in the watch, and the request to the API server failed.
    #[error("{0}")]
    Api(String),
}

/// Finds facts.
#[derive(Clone)]
pub(crate) struct FactsLookup {
    pub(crate) store: Arc<PodStore>,
    pub(crate) api: Arc<Api>,
    pub(crate) metrics: Arc<Metrics>,
}

impl FactsLookup {
    /// The facts about that pod. If its UID is known, never those of another pod of the same name.
    pub(crate) async fn facts(
        &self,
        name: &PodName,
        uid: Option<&str>,
    ) -> Result<PodFacts, FactsError> {
        timeout(ANSWER_TIMEOUT, self.find(name, uid))
            .await
            .unwrap_or_else(|_elapsed| Err(no_answer()))
    }

    async fn find(&self, name: &PodName, uid: Option<&str>) -> Result<PodFacts, FactsError> {
        let pod = self.pod(name, uid).await?.ok_or(FactsError::NoPod)?;
        if pod.name != *name || uid.is_some_and(|uid| !self.store.is_uid_of(uid, &pod)) {
            return Err(FactsError::OtherPod(pod.uid.clone()));
        }
        self.complete(&pod).await
    }

    /// The pod with all facts. Those that are too large to be kept are requested. `None` if its namespace
    /// is not known yet.
    pub(crate) async fn known(&self, pod: Arc<Pod>) -> Option<Arc<Pod>> {
        if self.store.must_request(&pod) {
            return Some(self.completed(pod).await);
        }
        let Ok(facts) = &pod.facts else {
            return Some(pod);
        };
        let mut known = Pod::clone(&pod);
        known.facts = Ok(self.store.try_complete(facts)?);
        Some(Arc::new(known))
    }

    /// The pod with all facts. If they are not known, they are requested.
    pub(crate) async fn completed(&self, pod: Arc<Pod>) -> Arc<Pod> {
        let facts = timeout(ANSWER_TIMEOUT, self.complete(&pod)).await;
        let facts = facts.unwrap_or_else(|_elapsed| Err(no_answer()));
        let mut completed = Pod::clone(&pod);
        completed.facts = facts.map_err(|error| match error {
            FactsError::Unreadable(why) => PodError::Unreadable(why),
            error => PodError::Request(error.to_string()),
        });
        Arc::new(completed)
    }

    async fn complete(&self, pod: &Pod) -> Result<PodFacts, FactsError> {
        match &pod.facts {
            Ok(facts) => self.with_namespace(facts).await,
            Err(PodError::TooLarge) => self.with_namespace(&self.large(pod).await?).await,
            Err(error) => Err(FactsError::Unreadable(error_chain(error))),
        }
    }

    /// The facts of a pod whose facts are too large to be kept.
    async fn large(&self, pod: &Pod) -> Result<PodFacts, FactsError> {
        let found = self.request::<CompletePod>(&pod.name).await?;
        let CompletePod(found) = found.ok_or(FactsError::NoPod)?;
        if found.uid != pod.uid {
            return Err(FactsError::OtherPod(found.uid));
        }
        let unreadable = |error| FactsError::Unreadable(error_chain(&error));
        found.facts.map_err(unreadable)
    }

    async fn pod(&self, name: &PodName, uid: Option<&str>) -> Result<Option<Arc<Pod>>, ApiError> {
        if let Some(pod) = self.store.wait_for(name, uid, WAIT).await {
            return Ok(Some(pod));
        }
        let found = self.request::<Pod>(name).await?;
        Ok(found.map(Arc::new))
    }

    async fn request<O: Object>(&self, name: &PodName) -> Result<Option<O>, ApiError> {
        let path = format!("/api/v1/namespaces/{}/pods", name.namespace);
        let found = self.get::<O>(&path, &name.name).await?;
        Ok(found.map(|found| found.object))
    }

    async fn get<O: Object>(
        &self,
        path: &str,
        name: &str,
    ) -> Result<Option<Versioned<O>>, ApiError> {
        self.metrics.api_request("get");
        let found = self.api.get::<O>(path, name).await;
        if matches!(found, Err(ApiError::Busy)) {
            self.metrics.api_busy();
        }
        found
    }

    async fn with_namespace(&self, facts: &PodFacts) -> Result<PodFacts, FactsError> {
        if !self.store.is_large_namespace(&facts.namespace)
            && let Some(facts) = self.store.complete(facts, WAIT).await
        {
            return Ok(facts);
        }
        let path = "/api/v1/namespaces";
        let namespace = self.get::<Namespace>(path, &facts.namespace).await?;
        let namespace = namespace.ok_or(FactsError::NoNamespace)?;
        Ok(self.store.complete_with(facts, namespace.object))
    }
}

fn no_answer() -> FactsError {
    let seconds = ANSWER_TIMEOUT.as_secs();
    FactsError::Api(format!("no answer from the API server within {seconds} s"))
}

impl From<ApiError> for FactsError {
    fn from(error: ApiError) -> Self {
        Self::Api(error_chain(&error))
    }
}
