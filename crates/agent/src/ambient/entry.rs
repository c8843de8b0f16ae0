//! A pod in the ledger: what it should become, what exists, and what went wrong.

use std::sync::Arc;
use std::time::Duration;

use mesh_cni_agent_api::{AmbientState, EnrolmentRefusal};
use mesh_cni_kube::pod::{Pod, PodName};
use mesh_cni_netns::NetNs;
use mesh_cni_plan::ExpectedRules;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::problem::{Cause, OpenProblem, Problem};
use super::records::Record;
use super::step::{Actual, Goal, Namespace, Part, Proxy, Step};

/// The time after the first failure of a step; it doubles with each further one.
const MIN_BACKOFF: Duration = Duration::from_millis(250);

/// The longest time between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The value of the annotation of a pod that ztunnel serves.
pub(super) const ENABLED: &str = "enabled";

/// A pod of the ledger.
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) goal: Goal,
    /// The rules that the pod should have; `None` if it should have none, or if they are not known.
    pub(super) expected: Option<Arc<ExpectedRules>>,
    pub(super) netns: Option<Arc<NetNs>>,
    pub(super) namespace: Namespace,
    pub(super) rules: Part,
    pub(super) probes: Part,
    pub(super) annotation: Part,
    /// Whether ztunnel was asked to serve the pod in the open namespace, rather than to keep it.
    pub(super) is_asked_to_serve: bool,
    /// The step that is carried out now.
    pub(super) running: Option<Step>,
    pub(super) failures: u32,
    /// No step before this time.
    pub(super) next_attempt: Option<Instant>,
    /// What is wrong; of several problems the newest.
    pub(super) open_problem: Option<OpenProblem>,
    /// Plugins that wait for the enrolment.
    waiting: Vec<(Instant, oneshot::Sender<Result<(), EnrolmentRefusal>>)>,
}

impl Entry {
    pub(super) fn new(record: Record, goal: Goal) -> Self {
        Self {
            record,
            goal,
            expected: None,
            netns: None,
            namespace: Namespace::Unknown,
            rules: Part::Unknown,
            probes: Part::Unknown,
            annotation: Part::Unknown,
            is_asked_to_serve: false,
            running: None,
            failures: 0,
            next_attempt: None,
            open_problem: None,
            waiting: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> PodName {
        self.record.pod_name()
    }

    pub(super) fn actual(&self, proxy: Proxy) -> Actual {
        Actual {
            namespace: self.namespace,
            rules: self.rules,
            proxy,
            probes: self.probes,
            annotation: self.annotation,
        }
    }

    /// The pod should become this. Its earlier failures do not count.
    pub(super) fn set_goal(&mut self, goal: Goal) {
        if self.goal != goal {
            self.goal = goal;
            self.reset_failures();
        }
    }

    /// The rules and the namespace of an enrolled pod are read again.
    pub(super) fn check_again(&mut self) {
        if self.running.is_none() && self.goal == Goal::Enrolled {
            self.rules = Part::Unknown;
        }
    }

    /// The rules that it should have; others have to be checked.
    pub(super) fn expect(&mut self, expected: ExpectedRules) {
        if self.expected.as_deref() != Some(&expected) {
            // The plugin has just written those of a pod that starts.
            if self.expected.is_some() {
                self.rules = Part::Unknown;
            }
            self.expected = Some(Arc::new(expected));
        }
    }

    /// What the API server knows of it. Returns whether the record changed.
    pub(super) fn observe(&mut self, pod: &Pod) -> bool {
        self.annotation = annotation(pod);
        let addresses = pod.addresses();
        let is_changed = !addresses.is_empty() && addresses != self.record.addresses;
        if is_changed {
            self.record.addresses = addresses.to_vec();
            self.probes = Part::Missing;
        }
        is_changed
    }

    /// The namespace of the pod. Another one than before needs everything again.
    pub(super) fn open(&mut self, netns: Arc<NetNs>, rules: Part) {
        self.namespace = Namespace::Alive;
        self.rules = rules;
        if self.netns.as_ref() != Some(&netns) {
            self.is_asked_to_serve = false;
        }
        self.netns = Some(netns);
    }

    /// A plugin waits for the enrolment.
    pub(super) fn wait(
        &mut self,
        answer: oneshot::Sender<Result<(), EnrolmentRefusal>>,
        until: Instant,
    ) {
        self.waiting.push((until, answer));
    }

    /// Answers the plugins that wait.
    pub(super) fn accept(&mut self) {
        for (_, waiting) in self.waiting.drain(..) {
            // A plugin that has ended needs no answer.
            drop(waiting.send(Ok(())));
        }
    }

    /// The same if the pod is not enrolled. Then the plugin takes the rules back, and the runtime removes
    /// the sandbox.
    pub(super) fn refuse(&mut self, reason: &str, remedy: &str) {
        if self.waiting.is_empty() {
            return;
        }
        let refusal = EnrolmentRefusal {
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
            is_temporary: true,
        };
        for (_, waiting) in self.waiting.drain(..) {
            drop(waiting.send(Err(refusal.clone())));
        }
        self.set_goal(Goal::Ended);
    }

    /// Whether a plugin does not wait any longer.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.waiting.iter().any(|(until, _)| *until <= now)
    }

    /// When something has to be done, if nothing happens before.
    pub(super) fn wake(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|(until, _)| *until);
        let attempt = self.next_attempt.filter(|_| self.running.is_none());
        let report = self
            .open_problem
            .as_ref()
            .and_then(OpenProblem::report_time);
        waiting.chain(attempt).chain(report).min()
    }

    /// Whether a step may be carried out now.
    pub(super) fn take_turn(&mut self, now: Instant) -> bool {
        let is_due = self.running.is_none() && self.next_attempt.is_none_or(|next| next <= now);
        if is_due {
            self.next_attempt = None;
        }
        is_due
    }

    /// Earlier failures do not count.
    pub(super) fn reset_failures(&mut self) {
        self.failures = 0;
        self.next_attempt = None;
        self.open_problem = None;
    }

    /// A step succeeded.
    pub(super) fn succeed(&mut self, step: Step) {
        self.failures = 0;
        self.next_attempt = None;
        // Rules that differ may be those that could not be written.
        if step != Step::CheckRules || self.rules == Part::Present {
            self.clear_problem(Cause::of(step));
        }
    }

    /// A step failed. Returns whether it is the first failure in a row, or another one than before.
    pub(super) fn fail(&mut self, step: Step, problem: Problem, now: Instant) -> bool {
        let backoff = MIN_BACKOFF.saturating_mul(1 << self.failures.min(10));
        self.next_attempt = Some(now + backoff.min(MAX_BACKOFF));
        self.failures += 1;
        self.set_problem(Cause::of(step), problem, now)
    }

    /// The pod has a problem. Returns whether it is another one than before.
    pub(super) fn set_problem(&mut self, cause: Cause, problem: Problem, now: Instant) -> bool {
        match &mut self.open_problem {
            Some(open_problem) if open_problem.cause == cause => {
                let is_new = open_problem.problem != problem;
                open_problem.problem = problem;
                is_new
            }
            open_problem => {
                *open_problem = Some(OpenProblem::new(cause, problem, now));
                true
            }
        }
    }

    /// There is no problem of that kind.
    pub(super) fn clear_problem(&mut self, cause: Cause) {
        self.open_problem
            .take_if(|open_problem| open_problem.cause == cause);
    }

    /// How far the pod is.
    pub(super) fn state(&self, proxy: Proxy, now: Instant) -> AmbientState {
        let is_lasting = |open_problem: &OpenProblem| open_problem.is_lasting(now);
        if self.open_problem.as_ref().is_some_and(is_lasting) {
            return AmbientState::Broken;
        }
        let actual = self.actual(proxy);
        match self.goal {
            Goal::Left | Goal::Ended => AmbientState::Leaving,
            Goal::Undecided => AmbientState::Undecided,
            Goal::Enrolled if actual.is_served() => AmbientState::Enrolled,
            Goal::Enrolled => AmbientState::Pending,
        }
    }
}

/// Whether the pod has the annotation. A value that this agent does not write is neither.
pub(super) fn annotation(pod: &Pod) -> Part {
    match pod.redirection.as_deref() {
        Some(ENABLED) => Part::Present,
        Some(_) => Part::Unknown,
        None => Part::Missing,
    }
}
