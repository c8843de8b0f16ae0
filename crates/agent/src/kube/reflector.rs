//! Lists and watches one kind of object: lists it page by page, then follows its changes, and lists
//! it again if the API server no longer has the version to continue from.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::api::{Api, ApiError, Object, Versioned};
use super::pod::Pod;
use super::pods::{Namespace, WatchEvent};
use crate::metrics::Metrics;

/// The backoff after the first failure; each further one is twice as long, up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// How long a watch may receive nothing. The API server sends a bookmark about every minute, so two
/// of them are missing then, and the connection may be dead.
const MAX_SILENCE: Duration = Duration::from_secs(150);

/// A list and watch of one kind of object.
pub(crate) struct Reflector<F> {
    pub(crate) api: Arc<Api>,
    /// For example `/api/v1/pods`.
    pub(crate) path: &'static str,
    /// For example `spec.nodeName=node-1`.
    pub(crate) field_selector: Option<String>,
    pub(crate) metrics: Arc<Metrics>,
    /// Receives every update.
    pub(crate) on_update: F,
}

/// An update of a reflector.
pub(crate) enum Update<O> {
    /// An event about the objects.
    Event(WatchEvent<O>),
    /// The API server sent something, so everything up to now is known.
    Received,
    /// A request failed.
    Failed(String),
}

/// Where to continue.
enum ResumePoint {
    /// With a list.
    List,
    /// With a watch after this version.
    Watch(String),
}

impl<F> Reflector<F> {
    /// Runs until the task is dropped.
    pub(crate) async fn run<O: Object + 'static>(self)
    where
        F: Fn(Update<O>),
    {
        let mut resume = ResumePoint::List;
        let mut backoff = MIN_BACKOFF;
        loop {
            let start = Instant::now();
            let result = self.list_or_watch(&mut resume).await;
            if start.elapsed() > MAX_BACKOFF {
                backoff = MIN_BACKOFF;
            }
            match result {
                // Limits the rate if every watch ends at once.
                Ok(()) => sleep(MIN_BACKOFF.saturating_sub(start.elapsed())).await,
                Err(error) => {
                    let message = crate::error_chain(&error);
                    warn!(
                        path = self.path,
                        again_in_ms = backoff.as_millis(),
                        "watch: {message}"
                    );
                    self.metrics.api_failed();
                    if is_expired(&error) {
                        resume = ResumePoint::List;
                    }
                    (self.on_update)(Update::Failed(message));
                    self.api.reconnect();
                    sleep(backoff).await;
                    backoff = MAX_BACKOFF.min(backoff * 2);
                }
            }
        }
    }

    async fn list_or_watch<O: Object + 'static>(
        &self,
        resume: &mut ResumePoint,
    ) -> Result<(), ApiError>
    where
        F: Fn(Update<O>),
    {
        match resume {
            ResumePoint::List => *resume = ResumePoint::Watch(self.list().await?),
            ResumePoint::Watch(version) => self.watch(version).await?,
        }
        Ok(())
    }

    /// Lists every object, and returns the version of the list.
    async fn list<O: Object + 'static>(&self) -> Result<String, ApiError>
    where
        F: Fn(Update<O>),
    {
        self.event(WatchEvent::Init);
        let mut next = String::new();
        loop {
            self.metrics.api_request("list");
            let fields = self.field_selector.as_deref();
            let page = self.api.list(self.path, fields, &next).await?;
            let version = page.version().to_owned();
            page.next().clone_into(&mut next);
            for item in page.items {
                self.event(WatchEvent::InitApply(item.object));
            }
            if next.is_empty() {
                self.event(WatchEvent::InitDone);
                (self.on_update)(Update::Received);
                info!(path = self.path, version, "watch: listed");
                return Ok(version);
            }
        }
    }

    /// Follows the changes until the connection ends, and advances `version`.
    async fn watch<O: Object + 'static>(&self, version: &mut String) -> Result<(), ApiError>
    where
        F: Fn(Update<O>),
    {
        self.metrics.api_request("watch");
        let fields = self.field_selector.as_deref();
        let events = self.api.watch::<O>(self.path, fields, version).await?;
        let mut events = std::pin::pin!(events);
        info!(path = self.path, version, "watch: started");
        (self.on_update)(Update::Received);
        loop {
            let event = timeout(MAX_SILENCE, events.next()).await;
            let Some(event) = event.map_err(|_elapsed| ApiError::Timeout(MAX_SILENCE))? else {
                debug!(path = self.path, "watch: ended, continues");
                return Ok(());
            };
            *version = self.forward(event?)?;
            (self.on_update)(Update::Received);
        }
    }

    /// Forwards an event, and returns the version after it.
    fn forward<O>(&self, event: kube::core::WatchEvent<Versioned<O>>) -> Result<String, ApiError>
    where
        F: Fn(Update<O>),
    {
        use kube::core::WatchEvent as ApiEvent;
        let (version, event) = match event {
            ApiEvent::Added(item) | ApiEvent::Modified(item) => {
                (item.version, WatchEvent::Apply(item.object))
            }
            ApiEvent::Deleted(item) => (item.version, WatchEvent::Delete(item.object)),
            ApiEvent::Bookmark(bookmark) => return Ok(bookmark.metadata.resource_version),
            ApiEvent::Error(status) => return Err(Box::new(kube::Error::Api(status)).into()),
        };
        self.event(event);
        Ok(version)
    }

    fn event<O>(&self, event: WatchEvent<O>)
    where
        F: Fn(Update<O>),
    {
        (self.on_update)(Update::Event(event));
    }
}

/// Whether the API server no longer has the version or the page.
fn is_expired(error: &ApiError) -> bool {
    error.code() == Some(410)
}

impl Object for Pod {
    fn from_object(object: &Value) -> Result<Self, &'static str> {
        Self::from_object(object)
    }
}

impl Object for Namespace {
    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let metadata = &object["metadata"];
        Ok(Self {
            name: metadata["name"]
                .as_str()
                .ok_or("a namespace without `metadata.name`")?
                .to_owned(),
            labels: metadata["labels"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
        })
    }
}
