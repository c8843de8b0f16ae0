//! A client of the API server: lists, watches, and requests for one object.

use std::error::Error;
use std::iter::successors;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::WatchEvent;
use kube::core::params::{
    DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchParams,
};
use kube::core::request::Request;
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::timeout;

use crate::settings::ApiAccess;

/// The time limit for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for one page of a list.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit for one object. An ADD waits for it.
const GET_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for a change of one object.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of objects in one page of a list. A complete pod is about 15 KB of JSON.
const PAGE_SIZE: u32 = 50;

/// The duration of one watch request, in seconds.
const WATCH_SECONDS: u32 = 280;

/// A failed request to the API server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The credentials or the server's address cannot be read.
    #[error("no access to the API server")]
    Access(#[source] Box<dyn Error + Send + Sync>),
    /// The request failed, or the API server returned an error.
    #[error("the API server {}", describe(.0))]
    Request(Box<kube::Error>),
    /// The time limit was exceeded.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// A kind of object that the agent reads.
pub(crate) trait Object: Sized + Clone + Send {
    /// Reads the object from JSON.
    fn from_object(object: &Value) -> Result<Self, &'static str>;
}

/// An object with its `resourceVersion`.
#[derive(Clone)]
pub(crate) struct Versioned<O> {
    pub(crate) version: String,
    pub(crate) object: O,
}

/// One page of a list.
#[derive(Deserialize)]
#[serde(bound = "O: Object")]
pub(crate) struct Page<O> {
    metadata: PageMeta,
    #[serde(default = "Vec::new")]
    pub(crate) items: Vec<Versioned<O>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

/// The client. It connects with the first request.
pub(crate) struct Api {
    access: ApiAccess,
    client: Mutex<Option<Client>>,
}

impl Api {
    pub(crate) fn new(access: ApiAccess) -> Self {
        let client = Mutex::new(None);
        Self { access, client }
    }

    /// One page of a list; `next` is empty for the first.
    pub(crate) async fn list<O: Object>(
        &self,
        path: &str,
        fields: Option<&str>,
        next: &str,
    ) -> Result<Page<O>, ApiError> {
        let mut params = ListParams::default().limit(PAGE_SIZE);
        params.field_selector = fields.map(str::to_owned);
        if !next.is_empty() {
            params = params.continue_token(next);
        }
        let request = Request::new(path).list(&params).map_err(build_error)?;
        self.request(request, LIST_TIMEOUT).await
    }

    /// Watches the changes after that version, until the connection ends.
    pub(crate) async fn watch<O: Object + 'static>(
        &self,
        path: &str,
        fields: Option<&str>,
        version: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Versioned<O>>, ApiError>> + use<O>, ApiError>
    {
        let mut params = WatchParams::default().timeout(WATCH_SECONDS);
        params.field_selector = fields.map(str::to_owned);
        let request = Request::new(path)
            .watch(&params, version)
            .map_err(build_error)?;
        let client = self.client().await?;
        let events = timeout(LIST_TIMEOUT, client.request_events(request)).await;
        let events = events.map_err(|_elapsed| ApiError::Timeout(LIST_TIMEOUT))?;
        let events = events.map_err(Box::new)?;
        Ok(events.map(|event| Ok(event.map_err(Box::new)?)))
    }

    /// One object; `None` if it does not exist.
    pub(crate) async fn get<O: Object>(
        &self,
        path: &str,
        name: &str,
    ) -> Result<Option<Versioned<O>>, ApiError> {
        let request = Request::new(path)
            .get(name, &GetParams::default())
            .map_err(build_error)?;
        match self.request(request, GET_TIMEOUT).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<(), ApiError> {
        let text = object.to_string().into_bytes();
        let request = Request::new(path).create(&PostParams::default(), text);
        self.change(request).await
    }

    /// Changes an object with a merge patch. If the patch contains `metadata.uid` or
    /// `metadata.resourceVersion` and the object has another one, the API server returns 409.
    pub(crate) async fn merge(
        &self,
        path: &str,
        name: &str,
        change: &Value,
    ) -> Result<(), ApiError> {
        let params = PatchParams::default();
        let request = Request::new(path).patch(name, &params, &Patch::Merge(change));
        self.change(request).await
    }

    /// Deletes an object with its grace period. If it does not match the preconditions, the API server
    /// returns 409.
    pub(crate) async fn delete(
        &self,
        path: &str,
        name: &str,
        preconditions: Preconditions,
    ) -> Result<(), ApiError> {
        let params = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        self.change(Request::new(path).delete(name, &params)).await
    }

    /// Reads the credentials again with the next request: a token or a certificate may have changed.
    pub(crate) fn reconnect(&self) {
        *self.current() = None;
    }

    /// If the token is refused, it is read again once: `kube` caches a token for a minute by the
    /// clock, which may have been set back since.
    async fn request<T: DeserializeOwned>(
        &self,
        request: http::Request<Vec<u8>>,
        time_limit: Duration,
    ) -> Result<T, ApiError> {
        match self.request_once(request.clone(), time_limit).await {
            Err(error) if error.code() == Some(401) => {
                self.reconnect();
                self.request_once(request, time_limit).await
            }
            result => result,
        }
    }

    async fn request_once<T: DeserializeOwned>(
        &self,
        request: http::Request<Vec<u8>>,
        time_limit: Duration,
    ) -> Result<T, ApiError> {
        let client = self.client().await?;
        let result = timeout(time_limit, client.request(request)).await;
        let result = result.map_err(|_elapsed| ApiError::Timeout(time_limit))?;
        Ok(result.map_err(Box::new)?)
    }

    async fn change(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<(), ApiError> {
        let request = request.map_err(build_error)?;
        self.request::<Value>(request, CHANGE_TIMEOUT)
            .await
            .map(drop)
    }

    async fn client(&self) -> Result<Client, ApiError> {
        if let Some(client) = &*self.current() {
            return Ok(client.clone());
        }
        let mut config = config(&self.access).await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let client = Client::try_from(config).map_err(Box::new)?;
        Ok(self.current().insert(client).clone())
    }

    fn current(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ApiError {
    /// The HTTP status, if the API server returned an error.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Request(error) => match &**error {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Access(_) | Self::Timeout(_) => None,
        }
    }
}

impl<O> Page<O> {
    /// The version of the list.
    pub(crate) fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// The token for the next page; empty for the last page.
    pub(crate) fn next(&self) -> &str {
        &self.metadata.next
    }
}

impl<'de, O: Object> Deserialize<'de> for Versioned<O> {
    /// Keeps only a part of the object, so that one complete object is in memory at a time.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        let version = object["metadata"]["resourceVersion"].as_str();
        Ok(Self {
            version: version.unwrap_or_default().to_owned(),
            object: O::from_object(&object).map_err(serde::de::Error::custom)?,
        })
    }
}

impl From<Box<kube::Error>> for ApiError {
    fn from(error: Box<kube::Error>) -> Self {
        Self::Request(error)
    }
}

/// One phrase: each layer of `kube` repeats the message of its cause, so only the last is used.
fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!(
                "answered {} {}: {}",
                status.code, status.reason, status.message
            )
        }
        other => {
            let causes = successors(Some(other as &dyn Error), |&error| error.source());
            format!("did not answer: {}", causes.last().unwrap_or(other))
        }
    }
}

async fn config(access: &ApiAccess) -> Result<Config, ApiError> {
    match access {
        ApiAccess::InCluster => Config::incluster().map_err(|error| ApiError::Access(error.into())),
        ApiAccess::Kubeconfig(path) => {
            let kubeconfig =
                Kubeconfig::read_from(path).map_err(|error| ApiError::Access(error.into()))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(|error| ApiError::Access(error.into()))
        }
    }
}

fn build_error(error: kube::core::request::Error) -> ApiError {
    Box::new(kube::Error::BuildRequest(error)).into()
}
