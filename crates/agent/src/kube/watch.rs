//! Feeds the directory: lists one kind of objects page by page, then follows its changes, and
//! begins again where the API server no longer knows where we were.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::kube::api::{Api, ApiError, Object, Versioned};
use crate::kube::pod::Pod;
use crate::kube::pods::{Event, Labels, Namespace};
use crate::metrics::Metrics;

/// The first pause after a failure; each further one is twice as long, up to `LONGEST`.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// How long a watch may say nothing. The API server sends a bookmark about every minute, so more
/// than two of them are missing then, and the connection may be dead.
const SILENCE: Duration = Duration::from_secs(150);

/// One kind of objects and where its events go.
pub(crate) struct Feed<T> {
    pub(crate) api: Arc<Api>,
    /// Such as `/api/v1/pods`.
    pub(crate) path: &'static str,
    /// Such as `spec.nodeName=node-1`.
    pub(crate) fields: Option<String>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tell: T,
}

/// What a feed tells.
pub(crate) enum Told<O> {
    /// Something about the objects.
    Event(Event<O>),
    /// The API server was heard: all that it knows is told.
    Heard,
    /// It does not answer, or refuses.
    Lost(String),
}

/// How far a feed is.
enum Place {
    /// Nothing is known that the API server could go on from.
    Nowhere,
    /// Everything up to that version is told.
    At(String),
}

impl<T> Feed<T> {
    /// Feeds until the task is dropped.
    pub(crate) async fn run<O: Object + 'static>(self)
    where
        T: Fn(Told<O>),
    {
        let mut place = Place::Nowhere;
        let mut pause = SHORTEST;
        loop {
            let start = Instant::now();
            let outcome = self.go_on(&mut place).await;
            if start.elapsed() > LONGEST {
                pause = SHORTEST;
            }
            match outcome {
                // A watch that ends at once is no reason for a storm of them.
                Ok(()) => sleep(SHORTEST.saturating_sub(start.elapsed())).await,
                Err(error) => {
                    let words = crate::one_line(&error);
                    warn!(
                        path = self.path,
                        again_in_ms = pause.as_millis(),
                        "watch: {words}"
                    );
                    self.metrics.api_failed();
                    if is_expired(&error) {
                        place = Place::Nowhere;
                    }
                    (self.tell)(Told::Lost(words));
                    self.api.renew();
                    sleep(pause).await;
                    pause = LONGEST.min(pause * 2);
                }
            }
        }
    }

    async fn go_on<O: Object + 'static>(&self, place: &mut Place) -> Result<(), ApiError>
    where
        T: Fn(Told<O>),
    {
        match place {
            Place::Nowhere => *place = Place::At(self.list().await?),
            Place::At(version) => self.follow(version).await?,
        }
        Ok(())
    }

    /// Tells everything there is, and gives back the version at which that was so.
    async fn list<O: Object + 'static>(&self) -> Result<String, ApiError>
    where
        T: Fn(Told<O>),
    {
        self.event(Event::ListBegins);
        let mut next = String::new();
        loop {
            self.metrics.api_asked("list");
            let page = self
                .api
                .list(self.path, self.fields.as_deref(), &next)
                .await?;
            let version = page.version().to_owned();
            page.next().clone_into(&mut next);
            for item in page.items {
                self.event(Event::Listed(item.object));
            }
            if next.is_empty() {
                self.event(Event::ListEnds);
                (self.tell)(Told::Heard);
                info!(path = self.path, version, "watch: listed");
                return Ok(version);
            }
        }
    }

    /// Tells changes until the connection ends; `version` goes along.
    async fn follow<O: Object + 'static>(&self, version: &mut String) -> Result<(), ApiError>
    where
        T: Fn(Told<O>),
    {
        self.metrics.api_asked("watch");
        let events = self
            .api
            .watch::<O>(self.path, self.fields.as_deref(), version);
        let mut events = std::pin::pin!(events.await?);
        info!(path = self.path, version, "watch: follows");
        (self.tell)(Told::Heard);
        loop {
            let Ok(event) = timeout(SILENCE, events.next()).await else {
                return Err(ApiError::TooSlow(SILENCE));
            };
            let Some(event) = event else {
                debug!(path = self.path, "watch: ended, goes on");
                return Ok(());
            };
            *version = self.take(event?)?;
            (self.tell)(Told::Heard);
        }
    }

    /// Tells one event, and gives back the version after it.
    fn take<O>(&self, event: WatchEvent<Versioned<O>>) -> Result<String, ApiError>
    where
        T: Fn(Told<O>),
    {
        let (version, event) = match event {
            WatchEvent::Added(item) | WatchEvent::Modified(item) => {
                (item.version, Event::Applied(item.object))
            }
            WatchEvent::Deleted(item) => (item.version, Event::Gone(item.object)),
            WatchEvent::Bookmark(bookmark) => return Ok(bookmark.metadata.resource_version),
            WatchEvent::Error(status) => return Err(Box::new(kube::Error::Api(status)).into()),
        };
        self.event(event);
        Ok(version)
    }

    fn event<O>(&self, event: Event<O>)
    where
        T: Fn(Told<O>),
    {
        (self.tell)(Told::Event(event));
    }
}

/// Whether the API server says that it no longer knows the version, or the page of a list.
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
        let name = metadata["name"].as_str();
        let labels = metadata["labels"].as_object().into_iter().flatten();
        let labels = labels
            .filter_map(|(key, value)| value.as_str().map(|value| (key.clone(), value.to_owned())));
        Ok(Self {
            name: name
                .ok_or("a namespace without `metadata.name`")?
                .to_owned(),
            labels: labels.collect::<Labels>(),
        })
    }
}
