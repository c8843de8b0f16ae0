//! What is counted and measured, as Prometheus reads it: names and units by its conventions.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::report::{Decision, Report};

/// The media type of [`Metrics::text`].
pub(crate) const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The buckets of an ADD's duration, in seconds: it takes some milliseconds; what waits for a pod
/// or for the API server takes seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 1.0, 4.0, 16.0,
];

/// Label names and values.
type Labels = [(&'static str, String); 1];
type Pair = [(&'static str, String); 2];

/// How an installation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallResult {
    /// Binary and entry are in place.
    Success,
    /// They are not, or not both.
    Failure,
}

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairResult {
    /// The pod was repaired, labelled or deleted, as asked for.
    Success,
    /// It was not.
    Failure,
    /// There was nothing to do any more.
    Skip,
}

/// The metrics of one agent.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    installs: Family<Labels, Counter>,
    contests: Counter,
    repairs: Family<Pair, Counter>,
    adds: Family<Pair, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
    requests: Family<Labels, Counter>,
    failures: Counter,
    ready: Gauge,
    pods: Gauge,
    watch_age: Gauge<f64, AtomicU64>,
    backend: Family<Labels, Gauge>,
    heard: Mutex<Option<Instant>>,
}

impl Metrics {
    /// Everything at its beginning.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("mesh_cni"),
            installs: Family::default(),
            contests: Counter::default(),
            repairs: Family::default(),
            adds: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            requests: Family::default(),
            failures: Counter::default(),
            ready: Gauge::default(),
            pods: Gauge::default(),
            watch_age: Gauge::default(),
            backend: Family::default(),
            heard: Mutex::new(None),
        };
        metrics.register();
        metrics.begin();
        metrics
    }

    /// An installation ended.
    pub fn installed(&self, result: InstallResult) {
        self.installs
            .get_or_create(&[("result", result.word())])
            .inc();
    }

    /// Another program undoes what is put in place, and is let have its way for a while.
    pub fn contested(&self) {
        self.contests.inc();
    }

    /// These kinds of repair may be made: their series begin at nought.
    pub(crate) fn expect_repairs(&self, kinds: &[&'static str]) {
        for kind in kinds {
            for result in [RepairResult::Success, RepairResult::Failure] {
                let labels = [("type", (*kind).to_owned()), ("result", result.word())];
                drop(self.repairs.get_or_create(&labels));
            }
        }
    }

    /// A repair ended; `kind` is `repair`, `delete`, `label` or `unlabel`.
    pub fn repaired(&self, kind: &'static str, result: RepairResult) {
        let labels = [("type", kind.to_owned()), ("result", result.word())];
        self.repairs.get_or_create(&labels).inc();
    }

    /// An ADD ended.
    pub fn added(&self, report: &Report) {
        let decision = || ("decision", report.decision.as_str().to_owned());
        let labels = [decision(), ("reason", report.reason.clone())];
        self.adds.get_or_create(&labels).inc();
        let seconds = Duration::from_micros(report.duration_us).as_secs_f64();
        self.durations.get_or_create(&[decision()]).observe(seconds);
    }

    /// The API server is asked; `verb` is `list`, `watch`, `get`, `create`,
    /// `patch` or `delete`.
    pub fn api_asked(&self, verb: &'static str) {
        self.requests
            .get_or_create(&[("verb", verb.to_owned())])
            .inc();
    }

    /// It did not answer, or refused.
    pub fn api_failed(&self) {
        self.failures.inc();
    }

    /// The pod watch was heard.
    pub fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago the pod watch was heard; `None` before the first time.
    pub fn watch_age(&self) -> Option<Duration> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map(|heard| heard.elapsed())
    }

    /// The back end that `auto` takes on this node.
    pub fn backend(&self, name: &str) {
        self.backend.clear();
        self.backend
            .get_or_create(&[("backend", name.to_owned())])
            .set(1);
    }

    /// The page that Prometheus reads, with these gauges as they are now.
    pub fn text(&self, ready: bool, pods: usize) -> String {
        self.ready.set(ready.into());
        self.pods.set(i64::try_from(pods).unwrap_or(i64::MAX));
        let age = self.watch_age();
        self.watch_age
            .set(age.map_or(f64::NAN, |age| age.as_secs_f64()));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes every write");
        text
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "installs",
            "Installations of binary and entry",
            self.installs.clone(),
        );
        registry.register(
            "contests",
            "Pauses for the sake of another program that writes the same file",
            self.contests.clone(),
        );
        registry.register(
            "repairs",
            "Repairs of pods that started without rules",
            self.repairs.clone(),
        );
        registry.register(
            "adds",
            "ADD calls, as the plugin reported them",
            self.adds.clone(),
        );
        registry.register_with_unit(
            "add_duration",
            "How long an ADD took",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the API server",
            self.requests.clone(),
        );
        registry.register(
            "api_failures",
            "Requests to the API server that failed",
            self.failures.clone(),
        );
        registry.register("ready", "Whether the agent is ready", self.ready.clone());
        registry.register(
            "pods",
            "Pods of this node that the agent knows",
            self.pods.clone(),
        );
        registry.register_with_unit(
            "pod_watch_age",
            "Time since the pod watch was heard; NaN before the first time",
            Unit::Seconds,
            self.watch_age.clone(),
        );
        registry.register(
            "backend",
            "The back end that this node has",
            self.backend.clone(),
        );
    }

    /// Series that can be told in advance begin at nought, so that a rate sees the first count.
    fn begin(&self) {
        for result in [InstallResult::Success, InstallResult::Failure] {
            drop(self.installs.get_or_create(&[("result", result.word())]));
        }
        for decision in Decision::ALL {
            drop(
                self.durations
                    .get_or_create(&[("decision", decision.as_str().to_owned())]),
            );
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl InstallResult {
    fn word(self) -> String {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
        .to_owned()
    }
}

impl RepairResult {
    fn word(self) -> String {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Skip => "skip",
        }
        .to_owned()
    }
}
