//! A client of the API server: watches, and requests for one object. Lists are in `list`.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _};
use http::header::{HeaderValue, USER_AGENT};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
pub use kube::core::params::Preconditions;
use kube::core::params::{DeleteParams, GetParams, Patch, PatchParams, PostParams, WatchParams};
use kube::core::request::Request;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::access::ApiAccess;
use crate::api_error::{ApiError, ErrorStatus, MAX_ERROR_BYTES, invalid};
use crate::decode::{Decoded, Keep, decode};
use crate::events::EventStream;
use crate::object::{Object, Versioned, read};

/// The time limit for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for the start of a list or a watch.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit for one object. An ADD waits for it.
const GET_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for a change of one object.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest object, in bytes of JSON. The API server stores 1.5 MiB, of which JSON can make six
/// times as much by escaping control characters.
pub(crate) const MAX_OBJECT_BYTES: u64 = 12 << 20;

/// How many objects are requested at the same time, because each may be large. Others wait.
const MAX_GETS: usize = 2;

/// How long a request for an object waits for others at most. An ADD waits for it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// The duration of one watch request, in seconds. It is random, so that the watches of many agents that
/// started together do not end together.
const WATCH_SECONDS: RangeInclusive<u32> = 180..=280;

/// The client. It connects with the first request.
pub struct Api {
    access: ApiAccess,
    user_agent: &'static str,
    client: Mutex<Option<Client>>,
    gets: Semaphore,
}

impl Api {
    /// A client with that access. The API server logs and counts its requests by the user agent, for
    /// example `mesh-cni-agent/0.1.0`.
    pub fn new(access: ApiAccess, user_agent: &'static str) -> Self {
        Self {
            access,
            user_agent,
            client: Mutex::new(None),
            gets: Semaphore::new(MAX_GETS),
        }
    }

    /// Watches the changes after that version, until the connection ends.
    pub async fn watch<O: Object>(
        &self,
        path: &str,
        fields: Option<&str>,
        version: &str,
    ) -> Result<EventStream<O, impl AsyncBufRead + use<O>>, ApiError> {
        let mut params = WatchParams::default().timeout(fastrand::u32(WATCH_SECONDS));
        params.field_selector = fields.map(str::to_owned);
        let request = Request::new(path);
        let request = if O::METADATA_ONLY {
            request.watch_metadata(&params, version)
        } else {
            request.watch(&params, version)
        };
        let body = timeout(START_TIMEOUT, self.open(request.map_err(build_error)?)).await;
        let body = body.map_err(|_elapsed| ApiError::Timeout(START_TIMEOUT))?;
        Ok(EventStream::new(body?))
    }

    /// One object; `None` if it does not exist.
    pub async fn get<O: Object>(
        &self,
        path: &str,
        name: &str,
    ) -> Result<Option<Versioned<O>>, ApiError> {
        let request = Request::new(path);
        let request = if O::METADATA_ONLY {
            request.get_metadata(name, &GetParams::default())
        } else {
            request.get(name, &GetParams::default())
        };
        let request = request.map_err(build_error)?;
        let permit = timeout(BUSY_TIMEOUT, self.gets.acquire()).await;
        let _permit = permit.map_err(|_elapsed| ApiError::Busy)?;
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

    /// Asks the API server to review what an object describes, such as a right, and returns these
    /// fields of the response.
    pub async fn review(
        &self,
        path: &str,
        object: &Value,
        keep: &'static Keep,
    ) -> Result<Value, ApiError> {
        let text = object.to_string().into_bytes();
        let request = Request::new(path)
            .create(&PostParams::default(), text)
            .map_err(build_error)?;
        let body = self.request(request, GET_TIMEOUT, MAX_OBJECT_BYTES).await?;
        Ok(decode(&body, keep).map_err(invalid)?.value)
    }

    /// Creates an object.
    pub async fn create(&self, path: &str, object: &Value) -> Result<(), ApiError> {
        let text = object.to_string().into_bytes();
        let request = Request::new(path).create(&PostParams::default(), text);
        self.change(request).await
    }

    /// Changes an object with a merge patch. If the patch contains `metadata.uid` or
    /// `metadata.resourceVersion` and the object has another one, the API server returns 409.
    pub async fn merge(&self, path: &str, name: &str, change: &Value) -> Result<(), ApiError> {
        let params = PatchParams::default();
        let request = Request::new(path).patch(name, &params, &Patch::Merge(change));
        self.change(request).await
    }

    /// Changes an object as [`merge`](Self::merge) does, with the rights to its status.
    pub async fn merge_status(
        &self,
        path: &str,
        name: &str,
        change: &Value,
    ) -> Result<(), ApiError> {
        let params = PatchParams::default();
        let change = Patch::Merge(change);
        let request = Request::new(path).patch_subresource("status", name, &params, &change);
        self.change(request).await
    }

    /// Deletes an object with its grace period. If it does not match the preconditions, the API server
    /// returns 409.
    pub async fn delete(
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
    pub fn reconnect(&self) {
        *self.current() = None;
    }

    /// The body of the response.
    async fn request(
        &self,
        request: http::Request<Vec<u8>>,
        time_limit: Duration,
        max_bytes: u64,
    ) -> Result<Vec<u8>, ApiError> {
        let read = async {
            let mut bytes = Vec::new();
            read_to(self.open(request).await?, &mut bytes, max_bytes).await?;
            Ok::<_, ApiError>(bytes)
        };
        let bytes = timeout(time_limit, read).await;
        let bytes = bytes.map_err(|_elapsed| ApiError::Timeout(time_limit))??;
        if bytes.len() as u64 > max_bytes {
            return Err(ApiError::TooLarge(max_bytes));
        }
        Ok(bytes)
    }

    /// Sends a request. Returns the body of the response if the request succeeded. If the token is
    /// refused, it is read again once: `kube` caches a token for a minute by the clock, which may have
    /// been set back since.
    pub(crate) async fn open(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<impl AsyncBufRead + use<>, ApiError> {
        match self.open_once(request.clone()).await {
            Err(error) if error.code() == Some(401) => {
                self.reconnect();
                self.open_once(request).await
            }
            result => result,
        }
    }

    async fn open_once(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<impl AsyncBufRead + use<>, ApiError> {
        let client = self.client().await?;
        let response = client.send(request.map(Body::from)).await;
        let response = response.map_err(Box::new)?;
        let status = response.status();
        let body = response.into_body().into_data_stream();
        let body = body.map_err(std::io::Error::other).into_async_read();
        if status.is_success() {
            return Ok(body);
        }
        let mut bytes = Vec::new();
        // The status counts, also if the rest cannot be read.
        drop(read_to(body, &mut bytes, MAX_ERROR_BYTES).await);
        let status = ErrorStatus::from_response(status.as_u16(), &bytes);
        Err(ApiError::Status(status))
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

    /// The client, for requests that this type does not have. It connects with the first request.
    pub async fn client(&self) -> Result<Client, ApiError> {
        if let Some(client) = &*self.current() {
            return Ok(client.clone());
        }
        let mut config = self.access.config().await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let user_agent = HeaderValue::from_static(self.user_agent);
        config.headers.push((USER_AGENT, user_agent));
        let client = Client::try_from(config).map_err(Box::new)?;
        Ok(self.current().insert(client).clone())
    }

    fn current(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads to the end of the body, or to a chunk in which it exceeds the limit.
async fn read_to(
    body: impl AsyncBufRead,
    bytes: &mut Vec<u8>,
    max_bytes: u64,
) -> std::io::Result<()> {
    let mut body = pin!(body);
    while bytes.len() as u64 <= max_bytes {
        let chunk = body.fill_buf().await?;
        let length = chunk.len();
        if length == 0 {
            break;
        }
        bytes.extend_from_slice(chunk);
        body.consume_unpin(length);
    }
    Ok(())
}

pub(crate) fn build_error(error: kube::core::request::Error) -> ApiError {
    Box::new(kube::Error::BuildRequest(error)).into()
}
