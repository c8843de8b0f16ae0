//! A client of the API server: lists, watches, and requests for one object.

use std::error::Error;
use std::iter::successors;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::io::{AsyncBufRead, AsyncReadExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::params::{
    DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchParams,
};
use kube::core::request::Request;
use kube::{Client, Config};
use serde_json::Value;
use tokio::time::timeout;

use super::decode::{Decoded, Keep, decode};
use super::events::EventStream;
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

/// The largest page, in bytes. A page that is larger, or that has too many values, is requested again
/// with half as many objects.
const MAX_PAGE_BYTES: u64 = 4 << 20;

/// The largest object, in bytes of JSON. The API server stores 1.5 MiB, of which JSON can make six
/// times as much by escaping control characters.
pub(super) const MAX_OBJECT_BYTES: u64 = 12 << 20;

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
    /// The connection failed before the response was complete.
    #[error("the connection to the API server ended")]
    Read(#[from] std::io::Error),
    /// The response is not what was requested.
    #[error("the API server returned an invalid response: {0}")]
    Invalid(String),
    /// The response is larger than this number of bytes.
    #[error("the API server returned more than {0} bytes")]
    TooLarge(u64),
}

/// A kind of object that the agent reads.
pub(crate) trait Object: Sized + Send + 'static {
    /// The fields that are used, `metadata.resourceVersion` among them.
    const KEEP: &'static Keep;

    /// A list of such objects.
    const LIST: &'static Keep = &Keep::Fields(&[
        ("metadata", &Keep::All),
        ("items", &Keep::Items(Self::KEEP)),
    ]);

    /// An event of a watch of such objects.
    const EVENT: &'static Keep = &Keep::Fields(&[("type", &Keep::All), ("object", Self::KEEP)]);

    /// Reads the object from its used fields.
    fn from_object(object: &Value) -> Result<Self, &'static str>;

    /// The same object, if some of its fields were not decoded because there are too many.
    #[must_use]
    fn too_large(self) -> Self {
        self
    }
}

/// An object with its `resourceVersion`.
pub(crate) struct Versioned<O> {
    pub(crate) version: String,
    pub(crate) object: O,
}

/// One page of a list.
pub(crate) struct Page<O> {
    /// The version of the list.
    pub(crate) version: String,
    /// The token for the next page; empty for the last page.
    pub(crate) next: String,
    /// The objects, or why one cannot be read.
    pub(crate) items: Vec<Result<O, String>>,
    /// The number of objects to request for the next page.
    pub(crate) size: u32,
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

    /// One page of a list of `size` objects at most; `next` is empty for the first.
    pub(crate) async fn list<O: Object>(
        &self,
        path: &str,
        fields: Option<&str>,
        next: &str,
        size: Option<u32>,
    ) -> Result<Page<O>, ApiError> {
        let mut size = size.unwrap_or(PAGE_SIZE);
        loop {
            let mut params = ListParams::default().limit(size);
            params.field_selector = fields.map(str::to_owned);
            if !next.is_empty() {
                params = params.continue_token(next);
            }
            let request = Request::new(path).list(&params).map_err(build_error)?;
            let max_bytes = if size > 1 {
                MAX_PAGE_BYTES
            } else {
                MAX_OBJECT_BYTES
            };
            match self.request(request, LIST_TIMEOUT, max_bytes).await {
                Err(ApiError::TooLarge(_)) if size > 1 => size /= 2,
                body => match page(&body?, size)? {
                    (_, true) if size > 1 => size /= 2,
                    (page, _) => return Ok(page),
                },
            }
        }
    }

    /// Watches the changes after that version, until the connection ends.
    pub(crate) async fn watch(
        &self,
        path: &str,
        fields: Option<&str>,
        version: &str,
    ) -> Result<EventStream<impl AsyncBufRead + use<>>, ApiError> {
        let mut params = WatchParams::default().timeout(WATCH_SECONDS);
        params.field_selector = fields.map(str::to_owned);
        let request = Request::new(path)
            .watch(&params, version)
            .map_err(build_error)?;
        let client = self.client().await?;
        let body = timeout(LIST_TIMEOUT, client.request_stream(request)).await;
        let body = body.map_err(|_elapsed| ApiError::Timeout(LIST_TIMEOUT))?;
        Ok(EventStream::new(body.map_err(Box::new)?))
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
        match self.request(request, GET_TIMEOUT, MAX_OBJECT_BYTES).await {
            Ok(body) => {
                let Decoded { value, is_cut } = decode(&body, O::KEEP).map_err(invalid)?;
                let version = value["metadata"]["resourceVersion"].as_str();
                Ok(Some(Versioned {
                    version: version.unwrap_or_default().to_owned(),
                    object: read(&value, is_cut).map_err(invalid)?,
                }))
            }
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

    /// The body of the response. If the token is refused, it is read again once: `kube` caches a
    /// token for a minute by the clock, which may have been set back since.
    async fn request(
        &self,
        request: http::Request<Vec<u8>>,
        time_limit: Duration,
        max_bytes: u64,
    ) -> Result<Vec<u8>, ApiError> {
        let once = |request| async move {
            let response = timeout(time_limit, self.request_once(request, max_bytes)).await;
            response.map_err(|_elapsed| ApiError::Timeout(time_limit))?
        };
        match once(request.clone()).await {
            Err(error) if error.code() == Some(401) => {
                self.reconnect();
                once(request).await
            }
            result => result,
        }
    }

    async fn request_once(
        &self,
        request: http::Request<Vec<u8>>,
        max_bytes: u64,
    ) -> Result<Vec<u8>, ApiError> {
        let client = self.client().await?;
        let body = client.request_stream(request).await.map_err(Box::new)?;
        let mut body = Box::pin(body).take(max_bytes + 1);
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).await?;
        if body.limit() == 0 {
            return Err(ApiError::TooLarge(max_bytes));
        }
        Ok(bytes)
    }

    async fn change(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<(), ApiError> {
        let request = request.map_err(build_error)?;
        self.request(request, CHANGE_TIMEOUT, MAX_OBJECT_BYTES)
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
            _ => None,
        }
    }

    /// Whether the response itself is at fault, so that the same request would fail again.
    pub(crate) fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::TooLarge(_))
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

/// The page, and whether values are missing in it.
fn page<O: Object>(body: &[u8], size: u32) -> Result<(Page<O>, bool), ApiError> {
    let decoded = decode(body, O::LIST).map_err(invalid)?;
    let (mut list, is_cut) = (decoded.value, decoded.is_cut);
    let metadata = |field: &str| list["metadata"][field].as_str().unwrap_or_default();
    let (version, next) = (metadata("resourceVersion"), metadata("continue"));
    if version.is_empty() {
        return Err(invalid("a list without `resourceVersion`"));
    }
    let (version, next) = (version.to_owned(), next.to_owned());
    let items = match list["items"].take() {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        _ => return Err(invalid("`items` is not a list")),
    };
    let page = Page {
        version,
        next,
        items: items.iter().map(|item| read(item, is_cut)).collect(),
        size,
    };
    Ok((page, is_cut))
}

/// The object, or what is wrong with which one.
pub(super) fn read<O: Object>(object: &Value, is_cut: bool) -> Result<O, String> {
    match O::from_object(object) {
        Ok(object) if is_cut => Ok(object.too_large()),
        Ok(object) => Ok(object),
        Err(reason) => {
            let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
            let (namespace, name) = (field("namespace"), field("name"));
            Err(format!("{namespace:?}/{name:?}: {reason}"))
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "`map_err` passes errors by value"
)]
pub(super) fn invalid(reason: impl ToString) -> ApiError {
    ApiError::Invalid(reason.to_string())
}

fn build_error(error: kube::core::request::Error) -> ApiError {
    Box::new(kube::Error::BuildRequest(error)).into()
}
