//! Repair of pods on this node that should be redirected but run without their rules because they
//! started before the plugin was installed.
//!
//! `diagnosis` and `queue` are pure: they decide what to do about a pod, and when. `namespaces` reads
//! and applies rules, `action` carries out and reports what was decided.

mod action;
mod counters;
mod diagnosis;
mod event;
mod namespaces;
mod queue;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use mesh_cni_netns::{BackendChoice, ProcessTable};
use mesh_cni_plan::{Decision, ExpectedRules, MeshConf, decide, decide_by_name};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

pub use diagnosis::{
    Action, Diagnosis, Expected, History, Observation, ObservedRules, Reason, diagnose,
};
pub use settings::{RepairMethod, RepairSettings};

use crate::error_chain;
use crate::kube::lookup::FactsLookup;
use crate::kube::pods::{Changes, Lookup};
use crate::readiness::Readiness;
use action::ActionResult;
pub(crate) use counters::RepairCounters;
use mesh_cni_kube::pod::{Pod, PodError};
pub(crate) use namespaces::{PodNamespaces, netns_remedy};
use queue::{Due, Queue};

/// When a pod is checked again if its namespace is not known or the node is not ready.
const WAIT: Duration = Duration::from_secs(2);

/// The time between two requests for the settings of large pods.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(250);

/// The time between two checks of a large pod, however often it changes.
const LARGE_POD_REST: Duration = Duration::from_secs(10);

/// The age at which the processes of the node are read again.
const PROCESSES_AGE: Duration = Duration::from_secs(1);

/// The time between two deletions, because the replacement needs time to start elsewhere.
const BETWEEN_DELETIONS: Duration = Duration::from_secs(5);

/// How often rules that cannot be read are read again before the agent waits for a change of the pod.
const MAX_READS: u32 = 6;

/// The largest number of diagnoses of a pod in a row: observe, act, diagnose again.
const MAX_DIAGNOSES: usize = 4;

/// Repairs the pods of this node.
pub(crate) struct Repairer {
    pub(crate) settings: RepairSettings,
    pub(crate) conf: MeshConf,
    pub(crate) backend: BackendChoice,
    pub(crate) node: String,
    pub(crate) lookup: FactsLookup,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) counters: Arc<RepairCounters>,
    pub(crate) namespaces: Arc<PodNamespaces>,
}

struct State {
    queue: Queue,
    next_deletion: Instant,
    next_request: Instant,
    processes: Processes,
}

/// A pod that may need repair, with what an ADD of it would do.
struct Candidate {
    pod: Arc<Pod>,
    expected: Expected,
    rules: Arc<ExpectedRules>,
}

/// The processes of the node, and when they were read.
type Processes = Option<(Instant, Arc<ProcessTable>)>;

/// Why a pod cannot be checked now.
enum Unknown {
    /// Its namespace is not known yet.
    Namespace,
    /// Its settings are large and cannot be requested.
    Settings(String),
}

impl Repairer {
    /// Repairs until the task is dropped.
    pub(crate) async fn run(self) {
        let mut changes = self.lookup.store.subscribe();
        let mut state = State {
            queue: Queue::default(),
            next_deletion: Instant::now(),
            next_request: Instant::now(),
            processes: None,
        };
        loop {
            let next = state.queue.next();
            tokio::select! {
                changes = changes.next() => self.enqueue(&mut state.queue, &changes),
                () = until(next) => self.check_next(&mut state).await,
            }
        }
    }

    fn enqueue(&self, queue: &mut Queue, changes: &Changes) {
        for pod in &changes.deleted {
            queue.remove(&pod.uid);
            self.counters.clear_broken(pod);
        }
        // Deletions were missed.
        if queue.len() > self.lookup.store.count() {
            queue.retain(&self.lookup.store.all());
        }
        for pod in &changes.applied {
            if !queue.changed(pod, Instant::now()) {
                self.lookup.metrics.repair_pod_dropped();
                debug!(pod = %pod.name, "repair: too many pods, one of the largest namespace is not checked");
            }
        }
    }

    /// Checks the next pod that is due.
    async fn check_next(&self, state: &mut State) {
        let Some(due) = state.queue.take(Instant::now()) else {
            return;
        };
        match self.lookup.store.find(&due.name, Some(&due.uid)) {
            Lookup::Found(pod) if pod.uid == due.uid => self.check(state, &due, pod).await,
            _ => state.queue.remove(&due.uid),
        }
    }

    async fn check(&self, state: &mut State, due: &Due, pod: Arc<Pod>) {
        let now = Instant::now();
        let by_name = decide_by_name(&self.conf, &pod.name.namespace, &pod.name.name);
        let is_requested = by_name.is_none() && pod.facts == Err(PodError::TooLarge);
        if is_requested && state.next_request > now {
            let until = state.next_request;
            return if due.waits_for_deletion {
                state.queue.postpone_deletion(&due.uid, until);
            } else {
                state.queue.postpone(&due.uid, until);
            };
        }
        let candidate = self.candidate(pod, by_name).await;
        if is_requested {
            state.next_request = Instant::now() + BETWEEN_REQUESTS;
            state.queue.rest(&due.uid, now + LARGE_POD_REST);
        }
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(Unknown::Namespace) => return state.queue.postpone(&due.uid, now + WAIT),
            Err(Unknown::Settings(why)) => {
                info!(pod = %due.name, "repair: {why}");
                state.queue.failed(&due.uid, now);
                return;
            }
        };
        if let Some(history) = state.queue.history(&due.uid) {
            // Rules that could not be read are read again.
            history
                .observation
                .take_if(|last| matches!(last.rules, ObservedRules::Unreadable(_)));
        }
        for _ in 0..MAX_DIAGNOSES {
            let Some(history) = state.queue.history(&due.uid) else {
                return;
            };
            let Candidate { pod, expected, .. } = &candidate;
            match diagnose(pod, expected, history, &self.settings) {
                Diagnosis::Leave(reason) => return self.leave(state, pod, &reason),
                Diagnosis::Observe => {
                    let observation = self.observe(&mut state.processes, &candidate).await;
                    if let Some(history) = state.queue.history(&due.uid) {
                        history.observed(observation);
                    }
                }
                Diagnosis::Act(action) => {
                    if !self.act(state, &candidate, action).await {
                        return;
                    }
                }
            }
        }
    }

    /// The pod with the decision of an ADD; `by_name` if its name decides.
    async fn candidate(
        &self,
        mut pod: Arc<Pod>,
        by_name: Option<Decision>,
    ) -> Result<Candidate, Unknown> {
        if by_name.is_none() {
            pod = self.lookup.known(pod).await.ok_or(Unknown::Namespace)?;
        }
        let decision = match (by_name, &pod.facts) {
            (Some(decision), _) => Ok(decision),
            (None, Ok(facts)) => decide(facts, &self.conf).map_err(|error| error_chain(&error)),
            (None, Err(error @ PodError::Request(_))) => {
                return Err(Unknown::Settings(error.to_string()));
            }
            (None, Err(error)) => Err(error_chain(error)),
        };
        let none = || ExpectedRules::none(&self.conf);
        let (expected, rules) = match decision {
            Ok(Decision::Redirect(redirection)) => {
                (Expected::Rules, ExpectedRules::of(*redirection))
            }
            Ok(Decision::OwnPod) => {
                let reason = "it is the agent's own pod".to_owned();
                (Expected::NoRules(reason), none())
            }
            Ok(Decision::Enrol(_)) => {
                let reason = "it is in ambient mode".to_owned();
                (Expected::NoRules(reason), none())
            }
            Ok(Decision::Skip(reason)) => (Expected::NoRules(reason.to_string()), none()),
            Err(error) => (Expected::NoRules(error), none()),
        };
        Ok(Candidate {
            pod,
            expected,
            rules: Arc::new(rules),
        })
    }

    fn leave(&self, state: &mut State, pod: &Pod, reason: &Reason) {
        let (namespace, name) = (&pod.name.namespace, &pod.name.name);
        if reason.is_broken() {
            if self.counters.set_broken(pod, reason.to_string()) {
                warn!(namespace, pod = name, "repair: it stays broken: {reason}");
            }
            return;
        }
        debug!(namespace, pod = name, "repair: nothing to do: {reason}");
        match reason {
            Reason::Unreadable(_) if state.queue.failures(&pod.uid) < MAX_READS => {
                state.queue.not_possible(&pod.uid, Instant::now());
            }
            Reason::Unreadable(_) => info!(namespace, pod = name, "repair: {reason}"),
            _ => self.counters.clear_broken(pod),
        }
    }

    async fn observe(&self, processes: &mut Processes, candidate: &Candidate) -> Observation {
        let processes = self.processes(processes).await;
        let (namespaces, pod) = (Arc::clone(&self.namespaces), Arc::clone(&candidate.pod));
        let expected = Arc::clone(&candidate.rules);
        let rules = spawn_blocking(move || namespaces.observe(&processes, &pod, &expected))
            .await
            .unwrap_or_else(|error| ObservedRules::Unreadable(error_chain(&error)));
        Observation::new(&candidate.pod, rules, &self.settings)
    }

    async fn processes(&self, processes: &mut Processes) -> Arc<ProcessTable> {
        let is_new = |(read, _): &&mut (Instant, _)| read.elapsed() < PROCESSES_AGE;
        if let Some((_, processes)) = processes.as_mut().filter(is_new) {
            return Arc::clone(processes);
        }
        let namespaces = Arc::clone(&self.namespaces);
        let table = spawn_blocking(move || namespaces.processes())
            .await
            .unwrap_or_default();
        let (_, table) = processes.insert((Instant::now(), Arc::new(table)));
        Arc::clone(table)
    }

    /// Carries out an action and reports it. Returns whether to diagnose the pod again.
    async fn act(&self, state: &mut State, candidate: &Candidate, action: Action) -> bool {
        let pod = &candidate.pod;
        if action == Action::Delete {
            if let Some((until, reason)) = self.postponement(state) {
                debug!(pod = %pod.name, "repair: deletion postponed: {reason}");
                state.queue.postpone_deletion(&pod.uid, until);
                return false;
            }
            if !state.queue.may_delete(&pod.uid, Instant::now()) {
                debug!(pod = %pod.name, "repair: deletion postponed: another namespace comes first");
                return false;
            }
            state.queue.deleting(&pod.uid);
        }
        let history = state.queue.history(&pod.uid).cloned().unwrap_or_default();
        let result = self
            .carry_out(&mut state.processes, candidate, &history, action)
            .await;
        match &result {
            ActionResult::Done(_) => self.report(pod, action, &result).await,
            ActionResult::Skipped(_) => {
                self.report(pod, action, &result).await;
                state.queue.failed(&pod.uid, Instant::now());
                return false;
            }
            ActionResult::Failed(why) | ActionResult::NotPossible(why) => {
                self.fail(state, pod, action, &result, why).await;
                self.label_after_failure(state, pod, &history).await;
                return false;
            }
        }
        self.counters.count_done();
        self.counters.clear_broken(pod);
        state.queue.succeeded(&pod.uid);
        if action == Action::Delete {
            state.next_deletion = Instant::now() + BETWEEN_DELETIONS;
        }
        self.remember(state, pod, action);
        true
    }

    /// Reports a failure, and backs off. An action that was not possible is reported again only if
    /// the reason is new.
    async fn fail(
        &self,
        state: &mut State,
        pod: &Pod,
        action: Action,
        result: &ActionResult,
        why: &str,
    ) {
        self.counters.count_failed();
        let is_new = self.counters.set_broken(pod, why.to_owned());
        let now = Instant::now();
        let is_possible = !matches!(result, ActionResult::NotPossible(_));
        let backoff = if is_possible {
            state.queue.failed(&pod.uid, now)
        } else {
            state.queue.not_possible(&pod.uid, now)
        };
        if is_new || is_possible {
            self.report(pod, action, result).await;
        }
        info!(
            namespace = pod.name.namespace,
            pod = pod.name.name,
            again_in_s = backoff.as_secs(),
            "repair: backing off"
        );
    }

    /// Until when nothing is deleted, and why. Without the plugin, a replacement on this node would
    /// be broken too.
    fn postponement(&self, state: &State) -> Option<(Instant, &'static str)> {
        let now = Instant::now();
        if !self.readiness.is_ready() {
            return Some((now + WAIT, "this node's plugin is not ready"));
        }
        let until = state.next_deletion;
        (until > now).then_some((until, "another pod was deleted just now"))
    }

    /// Labels a pod that could not be repaired, if that is configured.
    async fn label_after_failure(&self, state: &mut State, pod: &Pod, history: &History) {
        let Some(action) = diagnosis::after_failure(pod, history, &self.settings) else {
            return;
        };
        let result = self.label(pod, action).await;
        self.report(pod, action, &result).await;
        if matches!(result, ActionResult::Done(_)) {
            self.remember(state, pod, action);
        }
    }

    /// Records an action, because the watch reports its effect later.
    fn remember(&self, state: &mut State, pod: &Pod, action: Action) {
        let Some(history) = state.queue.history(&pod.uid) else {
            return;
        };
        match action {
            Action::RepairInPlace => {
                let rules = ObservedRules::AsExpected;
                history.observed(Observation::new(pod, rules, &self.settings));
            }
            Action::Delete => history.deleted = true,
            Action::Label => history.labelled = Some(true),
            Action::Unlabel => history.labelled = Some(false),
        }
    }
}

pub(crate) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
