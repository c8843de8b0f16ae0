//! The metrics of ambient mode.

use std::sync::atomic::AtomicU64;

use mesh_cni_agent_api::{AmbientState, AmbientStatus};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Label;
use crate::ambient::Cause;

/// A change of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is enrolled.
    Enrol,
    /// It has left ambient mode.
    Leave,
    /// Its rules differed, and are written again.
    Repair,
}

/// The metrics of ambient mode.
#[derive(Debug, Default)]
pub(crate) struct AmbientMetrics {
    changes: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    pods: Family<Label, Gauge>,
    ztunnels: Gauge<f64, AtomicU64>,
    check_age: Gauge<f64, AtomicU64>,
}

impl AmbientMetrics {
    /// A pod was changed.
    pub(crate) fn changed(&self, change: Change) {
        let kind = [("type", change.as_str().to_owned())];
        self.changes.get_or_create(&kind).inc();
    }

    /// A pod became broken.
    pub(crate) fn failed(&self, cause: Cause) {
        let reason = [("reason", cause.as_str().to_owned())];
        self.failures.get_or_create(&reason).inc();
    }

    /// Sets the gauges; `None` without ambient mode.
    pub(super) fn set(&self, status: Option<&AmbientStatus>) {
        for state in AmbientState::ALL {
            let count = status.map_or(0, |status| status.count(state));
            let pods = self
                .pods
                .get_or_create(&[("state", state.as_str().to_owned())]);
            pods.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let ztunnels = status.and_then(|status| u32::try_from(status.ztunnels).ok());
        self.ztunnels.set(ztunnels.map_or(f64::NAN, f64::from));
        let age = status.and_then(|status| status.check_age_seconds);
        self.check_age.set(age.unwrap_or(f64::NAN));
    }

    pub(super) fn create_known_series(&self) {
        for change in [Change::Enrol, Change::Leave, Change::Repair] {
            let kind = [("type", change.as_str().to_owned())];
            drop(self.changes.get_or_create(&kind));
        }
        for cause in Cause::ALL {
            let reason = [("reason", cause.as_str().to_owned())];
            drop(self.failures.get_or_create(&reason));
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "ambient_changes",
            "Pods that were enrolled or left ambient mode, or whose rules were repaired",
            self.changes.clone(),
        );
        registry.register(
            "ambient_failures",
            "How often a pod in ambient mode became broken",
            self.failures.clone(),
        );
        registry.register(
            "ambient_pods",
            "Pods of this node in ambient mode, or on the way into it or out of it",
            self.pods.clone(),
        );
        registry.register(
            "ambient_ztunnels",
            "Connected ztunnels that have received every pod; NaN without ambient mode",
            self.ztunnels.clone(),
        );
        registry.register_with_unit(
            "ambient_check_age",
            "Time since all pods in ambient mode were last checked; NaN before the first time",
            Unit::Seconds,
            self.check_age.clone(),
        );
    }
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::Enrol => "enrol",
            Self::Leave => "leave",
            Self::Repair => "repair",
        }
    }
}
