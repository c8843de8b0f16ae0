//! The API server, as far as the agent asks it: lists and watches, and one object at a time.

use std::sync::{Mutex, PoisonError};
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
use thiserror::Error;
use tokio::time::timeout;

use crate::settings::ApiAccess;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a page of a list may take.
const LIST: Duration = Duration::from_secs(30);

/// How long one object may take: an ADD waits for it.
const GET: Duration = Duration::from_secs(5);

/// How long a change of one object may take.
const CHANGE: Duration = Duration::from_secs(10);

/// How many objects a page of a list holds. A pod with everything is some 15 KB of text.
const PAGE: u32 = 50;

/// How long a watch may last before it is opened anew, in seconds.
const WATCH: u32 = 280;

/// Why the API server did not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// There is no way to it from here.
    #[error("no access to the API server")]
    Access(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The request failed, or was refused.
    #[error("the API server {}", words(.0))]
    Request(Box<kube::Error>),
    /// It took too long.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    TooSlow(Duration),
}

/// What the agent asks about.
pub(crate) trait Object: Sized + Clone + Send {
    /// Reads it from JSON.
    fn from_object(object: &Value) -> Result<Self, &'static str>;
}

/// An object of a list or a watch, and the version at which it is.
#[derive(Clone)]
pub(crate) struct Versioned<O> {
    pub(crate) version: String,
    pub(crate) object: O,
}

/// A page of a list.
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

/// The way to the API server.
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
        let mut params = ListParams::default().limit(PAGE);
        params.field_selector = fields.map(str::to_owned);
        if !next.is_empty() {
            params = params.continue_token(next);
        }
        let request = Request::new(path).list(&params).map_err(unbuilt)?;
        self.request(request, LIST).await
    }

    /// The changes after that version, until the connection ends.
    pub(crate) async fn watch<O: Object + 'static>(
        &self,
        path: &str,
        fields: Option<&str>,
        version: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Versioned<O>>, ApiError>> + use<O>, ApiError>
    {
        let mut params = WatchParams::default().timeout(WATCH);
        params.field_selector = fields.map(str::to_owned);
        let request = Request::new(path)
            .watch(&params, version)
            .map_err(unbuilt)?;
        let client = self.client().await?;
        let events = timeout(LIST, client.request_events(request)).await;
        let events = events.map_err(|_elapsed| ApiError::TooSlow(LIST))?;
        let events = events.map_err(Box::new)?;
        Ok(events.map(|event| Ok(event.map_err(Box::new)?)))
    }

    /// One object; `None` where there is no such object.
    pub(crate) async fn get<O: Object>(
        &self,
        path: &str,
        name: &str,
    ) -> Result<Option<Versioned<O>>, ApiError> {
        let request = Request::new(path)
            .get(name, &GetParams::default())
            .map_err(unbuilt)?;
        match self.request(request, GET).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an object.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<(), ApiError> {
        let text = object.to_string().into_bytes();
        let request = Request::new(path).create(&PostParams::default(), text);
        self.change(request).await
    }

    /// Merges that into an object. With `metadata.uid` or `metadata.resourceVersion` in it, the
    /// API server answers 409 where the object is another by now, or has changed.
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

    /// Deletes an object gracefully, if it is still that one at that version, else 409.
    pub(crate) async fn delete(
        &self,
        path: &str,
        name: &str,
        only: Preconditions,
    ) -> Result<(), ApiError> {
        let params = DeleteParams {
            preconditions: Some(only),
            ..DeleteParams::default()
        };
        self.change(Request::new(path).delete(name, &params)).await
    }

    /// Reads access anew with the next request: a token or a certificate may have changed.
    pub(crate) fn renew(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Where the token is refused, it is read again first: a library below keeps one for a minute, by
    /// a clock that may have been set back since.
    async fn request<T: DeserializeOwned>(
        &self,
        request: http::Request<Vec<u8>>,
        patience: Duration,
    ) -> Result<T, ApiError> {
        match self.request_once(request.clone(), patience).await {
            Err(error) if error.code() == Some(401) => {
                self.renew();
                self.request_once(request, patience).await
            }
            answer => answer,
        }
    }

    async fn request_once<T: DeserializeOwned>(
        &self,
        request: http::Request<Vec<u8>>,
        patience: Duration,
    ) -> Result<T, ApiError> {
        let client = self.client().await?;
        let answer = timeout(patience, client.request(request)).await;
        let answer = answer.map_err(|_elapsed| ApiError::TooSlow(patience))?;
        Ok(answer.map_err(Box::new)?)
    }

    async fn change(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<(), ApiError> {
        let request = request.map_err(unbuilt)?;
        self.request::<Value>(request, CHANGE).await.map(drop)
    }

    async fn client(&self) -> Result<Client, ApiError> {
        if let Some(client) = self.held() {
            return Ok(client);
        }
        let mut config = config(&self.access).await?;
        config.connect_timeout = Some(CONNECT);
        let client = Client::try_from(config).map_err(Box::new)?;
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(held.insert(client).clone())
    }

    fn held(&self) -> Option<Client> {
        let held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }
}

impl ApiError {
    /// The HTTP status of a refusal.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Request(error) => match &**error {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Access(_) | Self::TooSlow(_) => None,
        }
    }
}

impl<O> Page<O> {
    /// The version at which the list was taken.
    pub(crate) fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// What asks for the page after this one; empty after the last.
    pub(crate) fn next(&self) -> &str {
        &self.metadata.next
    }
}

impl<'de, O: Object> Deserialize<'de> for Versioned<O> {
    /// One whole object is in memory at a time; what is kept of it is leaner.
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

/// What happened, in one phrase: libraries below tell every cause in every layer.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!(
                "answered {} {}: {}",
                status.code, status.reason, status.message
            )
        }
        other => {
            let mut cause: &dyn std::error::Error = other;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            format!("did not answer: {cause}")
        }
    }
}

async fn config(access: &ApiAccess) -> Result<Config, ApiError> {
    let refused = |error| ApiError::Access(error);
    match access {
        ApiAccess::InCluster => Config::incluster().map_err(|error| refused(error.into())),
        ApiAccess::Kubeconfig(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| refused(error.into()))?;
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            config.map_err(|error| refused(error.into()))
        }
    }
}

fn unbuilt(error: kube::core::request::Error) -> ApiError {
    Box::new(kube::Error::BuildRequest(error)).into()
}
