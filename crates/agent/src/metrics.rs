//! The agent's metrics, with names and units by the conventions of Prometheus.

mod ambient;
mod known_series;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use mesh_cni_agent_api::{AmbientStatus, Report};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::warnings::{known_code, known_codes};
use crate::watch_progress::{WatchKind, WatchProgress};
use ambient::AmbientMetrics;
pub(crate) use ambient::Change;

/// The media type of [`Metrics::text`].
pub(crate) const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The buckets of an ADD's duration, in seconds. An ADD takes milliseconds; if it waits for a pod or
/// for the API server, it takes seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 1.0, 4.0, 16.0,
];

/// One label: name and value.
type Label = [(&'static str, String); 1];
type TwoLabels = [(&'static str, String); 2];

/// How an installation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallResult {
    /// Binary and entry are installed.
    Success,
    /// At least one of them is not.
    Failure,
}

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairResult {
    /// The pod was repaired, labelled or deleted.
    Success,
    /// It was not.
    Failure,
    /// It was no longer needed.
    Skip,
}

/// What the metrics read from other parts of the agent when they are requested.
#[derive(Clone, Debug, Default)]
pub struct CurrentState {
    /// Whether all checks pass.
    pub ready: bool,
    /// Whether a check passes although a part does not work. A stale watch counts without it.
    pub degraded: bool,
    /// The number of known pods.
    pub pods: usize,
    /// How many of them are too large to be kept.
    pub large_pods: usize,
    /// The number of broken pods; `None` if repair is off.
    pub broken_pods: Option<usize>,
    /// Ambient mode; `None` if it is off.
    pub ambient: Option<AmbientStatus>,
}

/// The metrics of one agent.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    installs: Family<Label, Counter>,
    contests: Counter,
    repairs: Family<TwoLabels, Counter>,
    adds: Family<TwoLabels, Counter>,
    add_warnings: Family<Label, Counter>,
    durations: Family<Label, Histogram, fn() -> Histogram>,
    requests: Family<Label, Counter>,
    failures: Counter,
    skipped: Counter,
    busy: Counter,
    repair_dropped: Counter,
    ready: Gauge,
    pods: Gauge,
    large_pods: Gauge,
    broken_pods: Gauge<f64, AtomicU64>,
    watch_age: Gauge<f64, AtomicU64>,
    backend: Family<Label, Gauge>,
    degraded: Gauge,
    listening: Family<Label, Gauge>,
    namespace_watch_age: Gauge<f64, AtomicU64>,
    pub(crate) ambient: AmbientMetrics,
    /// The progress of the watches.
    pub watches: WatchProgress,
}

impl Metrics {
    /// Registered metrics, all counters at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("mesh_cni"),
            installs: Family::default(),
            contests: Counter::default(),
            repairs: Family::default(),
            adds: Family::default(),
            add_warnings: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            requests: Family::default(),
            failures: Counter::default(),
            skipped: Counter::default(),
            busy: Counter::default(),
            repair_dropped: Counter::default(),
            ready: Gauge::default(),
            pods: Gauge::default(),
            large_pods: Gauge::default(),
            broken_pods: Gauge::default(),
            watch_age: Gauge::default(),
            backend: Family::default(),
            degraded: Gauge::default(),
            listening: Family::default(),
            namespace_watch_age: Gauge::default(),
            ambient: AmbientMetrics::default(),
            watches: WatchProgress::default(),
        };
        metrics.register();
        metrics.ambient.register(&mut metrics.registry);
        metrics.register_without_labels();
        metrics.create_known_series();
        metrics
    }

    /// An installation ended.
    pub fn installed(&self, result: InstallResult) {
        self.installs
            .get_or_create(&[("result", result.label())])
            .inc();
    }

    /// The agent backs off because another program rewrites the same file.
    pub fn contested(&self) {
        self.contests.inc();
    }

    /// A repair ended; `kind` is `repair`, `delete`, `label` or `unlabel`.
    pub fn repaired(&self, kind: &'static str, result: RepairResult) {
        let labels = [("type", kind.to_owned()), ("result", result.label())];
        self.repairs.get_or_create(&labels).inc();
    }

    /// An ADD ended.
    pub fn added(&self, report: &Report) {
        let decision = || ("decision", report.decision.as_str().to_owned());
        let reason = report.decision.known_reason(&report.reason).to_owned();
        let labels = [decision(), ("reason", reason)];
        self.adds.get_or_create(&labels).inc();
        let seconds = Duration::from_micros(report.duration_us).as_secs_f64();
        self.durations.get_or_create(&[decision()]).observe(seconds);
        for warning in &report.warnings {
            self.warned(known_code(&warning.code));
        }
    }

    /// A redirected pod has a warning with that code.
    pub(crate) fn warned(&self, code: &'static str) {
        let reason = [("reason", code.to_owned())];
        self.add_warnings.get_or_create(&reason).inc();
    }

    /// The number of warnings about redirected pods by code, without codes that have none.
    pub(crate) fn warnings(&self) -> BTreeMap<String, u64> {
        let counts = known_codes().map(|code| {
            let reason = [("reason", code.to_owned())];
            (
                code.to_owned(),
                self.add_warnings.get_or_create(&reason).get(),
            )
        });
        counts.filter(|(_code, count)| *count > 0).collect()
    }

    /// A request is sent to the API server; `verb` is `list`, `watch`, `get`, `create`, `patch` or
    /// `delete`.
    pub fn api_request(&self, verb: &'static str) {
        self.requests
            .get_or_create(&[("verb", verb.to_owned())])
            .inc();
    }

    /// A request to the API server failed.
    pub fn api_failed(&self) {
        self.failures.inc();
    }

    /// An object of a list or a watch could not be read.
    pub fn object_skipped(&self) {
        self.skipped.inc();
    }

    /// A request for an object was not sent, because too many others were waiting.
    pub fn api_busy(&self) {
        self.busy.inc();
    }

    /// A pod is not checked by repair, because there are too many.
    pub(crate) fn repair_pod_dropped(&self) {
        self.repair_dropped.inc();
    }

    /// The back end that `auto` chooses on this node.
    pub fn backend(&self, name: &str) {
        self.backend.clear();
        self.backend
            .get_or_create(&[("backend", name.to_owned())])
            .set(1);
    }

    /// Whether the agent listens on the port of that name, `health` or `metrics`.
    pub fn listening(&self, port: &'static str, listens: bool) {
        self.listening
            .get_or_create(&[("port", port.to_owned())])
            .set(listens.into());
    }

    /// The metrics in `OpenMetrics` text format.
    pub fn text(&self, now: &CurrentState) -> String {
        let degraded = now.degraded || self.watches.stale().is_some();
        for (value, gauge) in [
            (now.ready.into(), &self.ready),
            (degraded.into(), &self.degraded),
            (now.pods, &self.pods),
            (now.large_pods, &self.large_pods),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        let broken = now
            .broken_pods
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        self.broken_pods.set(broken.map_or(f64::NAN, f64::from));
        self.ambient.set(now.ambient.as_ref());
        for (kind, gauge) in [
            (WatchKind::Pods, &self.watch_age),
            (WatchKind::Namespaces, &self.namespace_watch_age),
        ] {
            let age = self.watches.age(kind);
            gauge.set(age.map_or(f64::NAN, |age| age.as_secs_f64()));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
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
            "repairs",
            "Repairs of pods that started without rules",
            self.repairs.clone(),
        );
        registry.register(
            "adds",
            "ADD calls, as reported by the plugin",
            self.adds.clone(),
        );
        registry.register(
            "add_warnings",
            "Warnings about redirected pods, reported by the plugin or found by the agent",
            self.add_warnings.clone(),
        );
        registry.register_with_unit(
            "add_duration",
            "Duration of an ADD",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the API server",
            self.requests.clone(),
        );
        registry.register(
            "build",
            "The agent's version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "broken_pods",
            "Pods that should be redirected and are not; NaN without repair",
            self.broken_pods.clone(),
        );
        registry.register_with_unit(
            "pod_watch_age",
            "Time since the pod watch last received something; NaN before the first time",
            Unit::Seconds,
            self.watch_age.clone(),
        );
        registry.register_with_unit(
            "namespace_watch_age",
            "The same for the watch of namespaces, if a policy needs their labels",
            Unit::Seconds,
            self.namespace_watch_age.clone(),
        );
        registry.register(
            "listening",
            "Whether the agent listens on a port",
            self.listening.clone(),
        );
        registry.register(
            "backend",
            "The back end that works on this node",
            self.backend.clone(),
        );
    }

    fn register_without_labels(&mut self) {
        let registry = &mut self.registry;
        for (name, help, counter) in [
            (
                "contests",
                "Backoffs because another program rewrites the same file",
                &self.contests,
            ),
            (
                "api_failures",
                "Failed requests to the API server",
                &self.failures,
            ),
            (
                "api_objects_skipped",
                "Objects of the API server that could not be read",
                &self.skipped,
            ),
            (
                "api_requests_busy",
                "Requests for an object that were not sent because too many were waiting",
                &self.busy,
            ),
            (
                "repair_pods_dropped",
                "Pods that repair does not check because there are too many",
                &self.repair_dropped,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            ("ready", "Whether the agent is ready", &self.ready),
            ("pods", "Pods of this node that the agent knows", &self.pods),
            (
                "large_pods",
                "Pods whose settings are too large to be kept",
                &self.large_pods,
            ),
            (
                "degraded",
                "Whether a watch has received nothing for five minutes, or a port is in use",
                &self.degraded,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl InstallResult {
    fn label(self) -> String {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
        .to_owned()
    }
}

impl RepairResult {
    fn label(self) -> String {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Skip => "skip",
        }
        .to_owned()
    }
}
