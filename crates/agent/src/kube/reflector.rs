//! Lists and watches one kind of object: lists it, then follows its changes, and lists it again if the
//! API server no longer has the version to continue from.
//!
//! Thousands of agents do this against one API server. So lists come from its cache, and agents that
//! lost their connections together do not return together.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::pods::WatchEvent;
use crate::metrics::Metrics;
use mesh_cni_kube::api::Api;
use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::events::{ApiChange, ApiEvent};
use mesh_cni_kube::list::{ListSource, Selector};
use mesh_cni_kube::object::Object;

/// The mean backoff after the first failure; each further one is twice as long, up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(20);

/// The mean time until a watch continues that lasted and ended. A request for a pod waits longer.
const MEAN_PAUSE: Duration = Duration::from_millis(500);

/// A watch that lasted this long has not failed, even if it received nothing.
const LASTING: Duration = Duration::from_secs(10);

/// How many objects are in a page if the list is too large for one response.
const PAGE_SIZE: u32 = 50;

/// How long a watch may receive nothing. The API server sends a bookmark about every minute, so two
/// of them are missing then, and the connection may be dead.
const MAX_SILENCE: Duration = Duration::from_secs(150);

/// How often in a row an invalid response may follow the same version. Then a list skips the objects
/// that cannot be read.
const MAX_INVALID: u32 = 3;

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
    /// A list is complete, or an event arrived, so everything up to now is known.
    Received,
    /// A request failed.
    Failed(String),
}

/// Where to continue.
#[derive(Clone, PartialEq)]
enum ResumePoint {
    /// With a list from this source.
    List(ListSource),
    /// With a watch after this version.
    Watch(String),
}

impl<F> Reflector<F> {
    /// Runs until the task is dropped.
    pub(crate) async fn run<O: Object>(self)
    where
        F: Fn(Update<O>),
    {
        let mut resume = ResumePoint::List(ListSource::any_version());
        let mut backoff = Backoff::default();
        let mut invalid = 0;
        loop {
            let start = Instant::now();
            let before = resume.clone();
            let result = self.list_or_watch(&mut resume).await;
            let made_progress = resume != before;
            if made_progress {
                invalid = 0;
                backoff = Backoff::default();
            }
            let pause = match result {
                // The watch starts at once after the list.
                Ok(()) if matches!(before, ResumePoint::List(_)) => continue,
                // A watch that lasts ends without an error; one that ends at once is a failure.
                Ok(()) if made_progress || start.elapsed() > LASTING => MEAN_PAUSE,
                Ok(()) => backoff.next(),
                Err(error) => {
                    let message = crate::error_chain(&error);
                    warn!(path = self.path, "watch: {message}");
                    self.metrics.api_failed();
                    invalid += u32::from(error.is_invalid());
                    resume = resume.after(&error, invalid >= MAX_INVALID);
                    (self.on_update)(Update::Failed(message));
                    self.api.reconnect();
                    backoff.next()
                }
            };
            sleep(random(pause)).await;
        }
    }

    async fn list_or_watch<O: Object>(&self, resume: &mut ResumePoint) -> Result<(), ApiError>
    where
        F: Fn(Update<O>),
    {
        match resume {
            ResumePoint::List(source) => *resume = ResumePoint::Watch(self.list(source).await?),
            ResumePoint::Watch(version) => self.watch(version).await?,
        }
        Ok(())
    }

    /// Lists every object, and returns the version of the list.
    async fn list<O: Object>(&self, source: &ListSource) -> Result<String, ApiError>
    where
        F: Fn(Update<O>),
    {
        self.metrics.api_request("list");
        self.event(WatchEvent::Init);
        let selector = Selector {
            fields: self.field_selector.as_deref(),
            labels: None,
        };
        let listed = self
            .api
            .list(self.path, selector, source, |object| match object {
                Ok(object) => self.event(WatchEvent::InitApply(object)),
                Err(reason) => self.skip(&reason),
            });
        let version = listed.await?;
        self.event(WatchEvent::InitDone);
        (self.on_update)(Update::Received);
        info!(path = self.path, version, "watch: listed");
        Ok(version)
    }

    /// Follows the changes until the connection ends, and advances `version`.
    async fn watch<O: Object>(&self, version: &mut String) -> Result<(), ApiError>
    where
        F: Fn(Update<O>),
    {
        self.metrics.api_request("watch");
        let fields = self.field_selector.as_deref();
        let mut events = self.api.watch(self.path, fields, version).await?;
        info!(path = self.path, version, "watch: started");
        loop {
            let event = timeout(MAX_SILENCE, events.next()).await;
            let Some(event) = event.map_err(|_elapsed| ApiError::Timeout(MAX_SILENCE))?? else {
                debug!(path = self.path, "watch: ended, continues");
                return Ok(());
            };
            self.forward(event, version);
        }
    }

    /// Forwards an event, and advances `version`. An event that cannot be used is skipped.
    fn forward<O>(&self, event: ApiEvent<O>, version: &mut String)
    where
        F: Fn(Update<O>),
    {
        match event.change {
            ApiChange::Apply(object) => self.event(WatchEvent::Apply(object)),
            ApiChange::Delete(object) => self.event(WatchEvent::Delete(object)),
            ApiChange::Bookmark => {}
            ApiChange::Invalid(reason) => self.skip(&reason),
        }
        if let Some(after) = event.version {
            *version = after;
            (self.on_update)(Update::Received);
        }
    }

    fn skip(&self, reason: &str) {
        warn!(path = self.path, "watch: skipped an object: {reason}");
        self.metrics.object_skipped();
    }

    fn event<O>(&self, event: WatchEvent<O>)
    where
        F: Fn(Update<O>),
    {
        (self.on_update)(Update::Event(event));
    }
}

impl ResumePoint {
    /// Where to continue after a failure.
    fn after(self, error: &ApiError, must_list: bool) -> Self {
        // The API server no longer has the version or the page.
        let is_expired = error.code() == Some(410);
        match self {
            // A list is never older than the last event.
            Self::Watch(version) if is_expired || must_list => {
                Self::List(ListSource::Cache(version))
            }
            Self::List(ListSource::Cache(_)) if matches!(error, ApiError::TooLarge(_)) => {
                Self::List(ListSource::Pages(PAGE_SIZE))
            }
            // The API server may never reach the version: its storage may come from a backup.
            Self::List(ListSource::Cache(_)) => Self::List(ListSource::any_version()),
            same => same,
        }
    }
}

/// The mean duration of the next pause after a failure.
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(MIN_BACKOFF)
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let next = MAX_BACKOFF.min(self.0 * 2);
        std::mem::replace(&mut self.0, next)
    }
}

/// A random duration with that mean, so that agents do not send their requests together.
fn random(mean: Duration) -> Duration {
    mean.mul_f64(0.5 + fastrand::f64())
}
