//! The state of every pod in ambient mode, for the status, the list of pods, and metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mesh_cni_agent_api::{AmbientPod, AmbientState, AmbientStatus, BrokenPod};
use mesh_cni_kube::pod::PodName;

/// How many broken pods the status contains.
const MAX_PODS: usize = 10;

/// What the actor publishes.
#[derive(Debug, Default)]
pub(crate) struct AmbientStates(Mutex<States>);

#[derive(Debug, Default)]
struct States {
    /// By UID.
    pods: BTreeMap<String, (PodName, AmbientPod)>,
    ztunnels: usize,
    checked: Option<Instant>,
}

impl AmbientStates {
    /// The pod is in that state.
    pub(super) fn set(&self, uid: &str, name: PodName, pod: AmbientPod) {
        self.states().pods.insert(uid.to_owned(), (name, pod));
    }

    /// Nothing of the pod is left.
    pub(super) fn remove(&self, uid: &str) {
        self.states().pods.remove(uid);
    }

    /// That many ztunnels have received every pod.
    pub(super) fn set_ztunnels(&self, count: usize) {
        self.states().ztunnels = count;
    }

    /// Every pod was checked.
    pub(super) fn set_checked(&self) {
        self.states().checked = Some(Instant::now());
    }

    /// The state of that pod.
    pub(crate) fn of(&self, uid: &str) -> Option<AmbientPod> {
        self.states().pods.get(uid).map(|(_, pod)| pod.clone())
    }

    /// All of it.
    pub(crate) fn status(&self) -> AmbientStatus {
        let states = self.states();
        let mut pods: BTreeMap<_, _> = AmbientState::ALL.map(|state| (state, 0)).into();
        let mut broken = Vec::new();
        for (name, pod) in states.pods.values() {
            *pods.entry(pod.state).or_default() += 1;
            if pod.state == AmbientState::Broken && broken.len() < MAX_PODS {
                broken.push(BrokenPod {
                    pod: name.to_string(),
                    why: pod.detail.clone().unwrap_or_default(),
                });
            }
        }
        AmbientStatus {
            ztunnels: states.ztunnels,
            pods,
            broken,
            check_age_seconds: states.checked.map(|at| at.elapsed().as_secs_f64()),
        }
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
